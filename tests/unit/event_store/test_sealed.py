"""What is in segments is read by its places, whatever segments it is in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from event_store.sealed import Sealed, columns_to_add
from event_store.storage import Damage, Reader, Snapshot, Store, StoreClosed, StoreFull, StoreMissing, segments
from event_store.storage.errors import SegmentDamaged
from event_store.storage.parquet import Layout
from tests.unit.event_store.storage.events import START, batch_of, events, flip, opened

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(opened(tmp_path / "store", row_group_rows=3)) as store:
        yield store


def numbers(sealed: Sealed, start: int, end: int) -> list[int]:
    table = sealed.read(start, end)
    return [int(text) for text in table["message"].to_pylist()] if table.num_rows else []


def test_only_what_is_in_segments_counts(store: Store) -> None:
    sealed = Sealed(store.folder, store.snapshot)
    assert (sealed.end(), numbers(sealed, 0, 10)) == (0, [])

    store.append([events(range(10))])
    assert sealed.end() == 0
    store.flush()
    store.append([events(range(10, 15))])

    assert sealed.end() == 10
    assert numbers(sealed, 0, 10) == [*range(10)]
    assert numbers(sealed, 3, 7) == [3, 4, 5, 6]


def test_events_of_several_segments_come_in_order_of_their_places(store: Store) -> None:
    for first in (0, 10):
        times = [START + (number * 7 % 3) * HOUR_NS for number in range(10)]
        batch = batch_of(time=times, source_id=["a"] * 10, message=[str(first + number) for number in range(10)])
        store.append([batch])
        store.flush()
    sealed = Sealed(store.folder, Reader.open(store.folder).snapshot)

    assert len(store.snapshot().segments) == 6
    assert numbers(sealed, 5, 15) == [*range(5, 15)]


def test_a_piece_has_so_many_rows_and_bytes_at_most(store: Store) -> None:
    store.append([events(range(100))])
    store.flush()
    sealed = Sealed(store.folder, store.snapshot)

    assert sealed.cut(0, 100, most_rows=30, most_bytes=1 << 30) == 30
    assert sealed.cut(90, 100, most_rows=30, most_bytes=1 << 30) == 100
    assert 0 < sealed.cut(0, 100, most_rows=100, most_bytes=500) < 50
    assert sealed.cut(0, 100, most_rows=100, most_bytes=1) == 1


def test_where_nothing_is_any_more_is_passed_over_at_once(store: Store) -> None:
    for first in (0, 10, 20):
        store.append([events(range(first, first + 10))])
        store.flush()
    whole = store.snapshot()
    kept = Snapshot(whole.folder, whole.version, tuple(one for one in whole.segments if one.min_seq != 0), whole.hot)
    sealed = Sealed(store.folder, lambda: kept)

    assert sealed.cut(0, 30, most_rows=5, most_bytes=1 << 30) == 10
    assert numbers(sealed, 0, 15) == [10, 11, 12, 13, 14]
    assert Sealed(store.folder, lambda: Snapshot(whole.folder, 0, (), ())).cut(3, 9, most_rows=1, most_bytes=1) == 9


def test_a_segment_that_is_replaced_meanwhile_is_read_as_what_replaced_it(store: Store) -> None:
    store.append([events(range(10))])
    store.flush()
    before = store.snapshot()
    (old,) = before.segments
    merged = segments.write(store.folder, segments.read(store.folder, old), Layout(level=1))
    before.path(old).unlink()
    after = Snapshot(before.folder, before.version + 1, (merged,), ())
    answers = iter((before, after))

    assert numbers(Sealed(store.folder, lambda: next(answers)), 2, 5) == [2, 3, 4]


def test_a_damaged_segment_is_an_error_and_not_nothing(store: Store) -> None:
    store.append([events(range(1000))])
    store.flush()
    snapshot = store.snapshot()
    flip(snapshot.path(snapshot.segments[0]), snapshot.segments[0].bytes - 10)

    with pytest.raises(SegmentDamaged, match="events 0 to 1000 cannot be read"):
        Sealed(store.folder, store.snapshot).read(0, 1000)


def test_the_store_sets_aside_what_is_damaged_and_the_rest_is_read(store: Store) -> None:
    for first in (0, 10, 20):
        store.append([events(range(first, first + 10))])
        store.flush()
    segment = store.segments()[1]
    flip(store.folder / segment.file, segment.bytes // 2)

    assert numbers(Sealed(store.folder, store.snapshot, store.checks.suspects), 0, 30) == [*range(10), *range(20, 30)]
    assert [damage.file for damage in store.damages] == [segment.file]


def test_what_nobody_sets_aside_is_done_without_once_it_is_known_to_be_damaged(store: Store) -> None:
    for first in (0, 10, 20):
        store.append([events(range(first, first + 10))])
        store.flush()
    segment = store.segments()[2]
    asked: list[str] = []

    def suspects(files: Collection[str]) -> list[Damage]:
        asked.extend(files)
        return [Damage(file, "it is no more", 10) for file in files]

    sealed = Sealed(store.folder, store.snapshot, suspects)
    assert numbers(sealed, 0, 30) == [*range(30)]
    (store.folder / segment.file).unlink()
    for _ in range(2):
        assert numbers(sealed, 5, 30) == [*range(5, 20)]
    assert (asked, sealed.end()) == ([segment.file], 30)


@pytest.mark.parametrize("error", [OSError("too many files"), StoreFull("no room"), StoreClosed("over")])
def test_a_damage_that_nobody_can_tell_of_now_is_an_error(store: Store, error: Exception) -> None:
    store.append([events(range(10))])
    store.flush()
    (segment,) = store.segments()
    flip(store.folder / segment.file, segment.bytes // 2)

    def suspects(_: Collection[str]) -> list[Damage]:
        raise error

    with pytest.raises(SegmentDamaged, match=f"events 0 to 10 cannot be read: {segment.file}: its checksum is wrong"):
        Sealed(store.folder, store.snapshot, suspects).read(0, 10)


def test_the_store_is_known_by_its_id(store: Store, tmp_path: Path) -> None:
    store.append([events(range(4))])
    store.flush()
    name, flushed = Sealed(store.folder, store.snapshot).store()

    assert (len(name), flushed) == (16, 4)
    with pytest.raises(StoreMissing):
        Sealed(tmp_path, store.snapshot).store()


def test_the_fullest_columns_come_first() -> None:
    batch = events(range(3), t_a=["x", None, None], t_b=["x", "y", None], f_c_num=[1.0, 2.0, 3.0])
    table = segments.table_of([batch])

    assert columns_to_add(table, {"time", "t_b"}, 2) == ["f_c$num"]
    assert columns_to_add(table, set(), 2) == ["f_c$num", "t_b"]
    assert columns_to_add(table, {"t_x", "t_y"}, 1) == []


def test_a_sealed_store_is_read_with_its_key(tmp_path: Path) -> None:
    key = tmp_path / "keys"
    key.touch(0o600)
    key.write_text("5a" * 32)
    with closing(opened(tmp_path / "sealed", key_file=key)) as store:
        store.append([events(range(5))])
        store.flush()
        reader = Reader.open(store.folder, key_file=key)

        assert b"PARE" in store.snapshot().path(store.snapshot().segments[0]).read_bytes()
        assert numbers(Sealed(store.folder, reader.snapshot), 1, 9) == [1, 2, 3, 4]
