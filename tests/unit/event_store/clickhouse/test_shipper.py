"""What is in a store is in ClickHouse once, whatever fails on the way."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import trio
from trio.testing import MockClock

from event_store.clickhouse.client import ClickHouseUnavailable
from event_store.clickhouse.config import ClickHouseSettings
from event_store.clickhouse.progress import ProgressDamaged
from event_store.clickhouse.service import open_shipper_of
from event_store.clickhouse.shipper import Shipper, progress_file
from event_store.sealed import Sealed
from event_store.storage import Store
from tests.unit.event_store.clickhouse.running import sealed
from tests.unit.event_store.storage.events import events, flip, opened

SETTINGS = ClickHouseSettings(url="http://ch", insert_rows=10, wait_s=30)


class Table:
    """Takes inserts, and fails as it is told: before it has taken them, or only then."""

    def __init__(self) -> None:
        self.inserts: dict[str, list[int]] = {}
        self.tokens: list[str] = []
        self.fails: list[str] = []

    async def insert(self, events: pa.Table, token: str) -> None:
        await trio.lowlevel.checkpoint()
        self.tokens.append(token)
        fails = self.fails.pop(0) if self.fails else ""
        if fails == "before":
            raise ClickHouseUnavailable("ch: not now")
        numbers = [int(text) for text in events["message"].to_pylist()]
        assert self.inserts.setdefault(token, numbers) == numbers, "what comes again is the same"
        if fails == "after":
            raise ClickHouseUnavailable("ch: no answer")

    def forget(self) -> None:
        pass

    @property
    def numbers(self) -> list[int]:
        return [number for piece in self.inserts.values() for number in piece]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(opened(tmp_path / "store")) as store, progress_file(store.folder, SETTINGS).held():
        yield store


def shipper(store: Store, table: Table, **given: Any) -> Shipper:
    settings = SETTINGS.model_copy(update=given)
    return Shipper(sealed(store), table, progress_file(store.folder, settings), settings)


def fill(store: Store, first: int, count: int) -> None:
    store.append([events(range(first, first + count))])
    store.flush()


async def test_what_is_in_segments_is_shipped_in_pieces(store: Store) -> None:
    fill(store, 0, 25)
    store.append([events(range(25, 28))])
    table = Table()

    done = await shipper(store, table).ship_all()

    assert table.numbers == [*range(25)]
    assert [len(piece) for piece in table.inserts.values()] == [10, 10, 5]
    assert (done.next, done.events, done.missing, done.sending) == (25, 25, 0, 0)


async def test_the_next_shipper_goes_on_where_the_last_one_was(store: Store) -> None:
    table = Table()
    fill(store, 0, 12)
    await shipper(store, table).ship_all()
    fill(store, 12, 12)
    await shipper(store, table).ship_all()
    await shipper(store, table).ship_all()

    assert table.numbers == [*range(24)]
    assert len(table.tokens) == 4


@pytest.mark.parametrize("seed", range(2))
async def test_each_event_arrives_once_whenever_it_ends(store: Store, seed: int) -> None:
    """A shipper that fails is thrown away, and one with other settings takes its place: so it is after a kill."""
    rng, table, count = random.Random(seed), Table(), 0
    for _ in range(12):
        more = rng.randrange(1, 30)
        fill(store, count, more)
        count += more
        table.fails = rng.choices(["before", "after", ""], k=3)
        with suppress(ClickHouseUnavailable):
            await shipper(store, table, insert_rows=rng.randrange(1, 20)).ship_all()
    table.fails = []
    done = await shipper(store, table).ship_all()

    assert table.numbers == [*range(count)]
    assert (done.events, done.missing) == (count, 0)


async def test_what_is_gone_is_counted(store: Store) -> None:
    for first in (0, 10, 20):
        fill(store, first, 10)
    whole = store.snapshot()
    kept = type(whole)(whole.folder, whole.version, tuple(one for one in whole.segments if one.min_seq != 10), ())
    table = Table()
    made = Shipper(Sealed(store.folder, lambda: kept), table, progress_file(store.folder, SETTINGS), SETTINGS)

    done = await made.ship_all()

    assert table.numbers == [*range(10), *range(20, 30)]
    assert (done.events, done.missing, done.next) == (20, 10, 30)


async def test_a_damaged_segment_holds_up_nothing_behind_it(store: Store) -> None:
    for first in (0, 10, 20):
        fill(store, first, 10)
    segment = store.segments()[1]
    flip(store.folder / segment.file, segment.bytes // 2)
    table = Table()
    async with open_shipper_of(store, SETTINGS.model_copy(update={"table": "of_store"})) as made:
        assert made is not None
        made._table = table
        waits = [await made.look() for _ in range(3)]

    assert (waits, made.trouble, table.numbers) == ([0.0] * 3, "", [*range(10), *range(20, 30)])
    assert (made.progress.events, made.progress.missing, made.progress.next) == (20, 10, 30)
    assert [damage.file for damage in store.damages] == [segment.file]


async def test_a_few_events_wait_for_more(store: Store, autojump_clock: MockClock) -> None:
    table = Table()
    made = shipper(store, table)
    fill(store, 0, 5)
    assert not await made.step()
    await trio.sleep(20)
    assert not await made.step()
    await trio.sleep(20)
    assert await made.step()
    fill(store, 5, 10)
    assert await made.step()

    assert [len(piece) for piece in table.inserts.values()] == [5, 10]


async def test_trouble_is_told_and_passes(store: Store) -> None:
    table = Table()
    table.fails = ["before", "after"]
    made = shipper(store, table)
    fill(store, 0, 10)

    assert [await made.look() > 0 for _ in range(2)] == [True, True]
    assert made.trouble == "ch: no answer"
    assert (await made.look(), made.trouble, made.progress.next) == (0, "", 10)
    assert await made.look() > 0
    assert table.numbers == [*range(10)]
    assert len(set(table.tokens)) == 1


async def test_a_store_from_an_old_backup_is_not_taken_for_the_one_that_was_shipped(store: Store) -> None:
    fill(store, 0, 5)
    await shipper(store, Table()).ship_all()
    file = progress_file(store.folder, SETTINGS)
    name = sealed(store).store()[0]
    file.write(type(file.read(name))(name, next=6))

    with pytest.raises(ProgressDamaged, match="it is older, from a backup"):
        await shipper(store, Table()).ship_all()
