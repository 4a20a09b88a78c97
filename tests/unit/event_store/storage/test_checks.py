"""What a disk damages is found before long, and set aside; a segment is not read more often than that takes."""

import errno
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from event_store.storage import Segment, StorageSettings, Store, StoreClosed, checks
from event_store.storage.verifying import verify_all
from tests.unit.event_store.storage.events import events, flip, numbers_in

FAST = 1 << 40
DAY_S = 86_400


class Clock:
    now = 1e6

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """One that was opened with four segments of ten events in it."""
    for _ in range(2):
        store = Store.open(tmp_path, StorageSettings(), clock=clock)
        if not store.segments():
            for number in range(0, 40, 10):
                add(store, number)
            store.close()
    with closing(store):
        yield store


def add(store: Store, first: int) -> None:
    """Add a segment."""
    store.append([events(range(first, first + 10))])
    store.flush()


def harm(store: Store, segment: Segment) -> None:
    flip(store.folder / segment.file, segment.bytes // 2)


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Take down which segments are read from now on."""
    taken: list[str] = []

    def noting(folder: Path, segments: Any, proceed: Any) -> Any:
        segments = list(segments)
        taken.extend(segment.file for segment in segments)
        return verify_all(folder, segments, proceed)

    monkeypatch.setattr(checks, "verify_all", noting)
    return taken


def test_each_is_read_once_a_day_and_those_soon_that_were_there_at_first(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, taken = {one.file for one in store.segments()}, reads(monkeypatch)

    sizes = [store.checks.next(FAST) for _ in range(5)]
    assert sum(sizes) == sum(one.bytes_on_disk for one in store.segments())
    assert (sizes[-1], set(taken), len(taken)) == (0, there, 4)

    add(store, 40)
    assert store.checks.next(FAST) == 0
    clock.now += DAY_S - 1
    assert store.checks.next(FAST) == 0
    clock.now += 1
    while store.checks.next(FAST):
        clock.now += 0.001
    assert sorted(taken) == sorted([*there, *(one.file for one in store.segments())])
    assert store.verify() == ()


def test_what_is_damaged_is_set_aside_and_an_index_made_anew(store: Store) -> None:
    segment, other = store.segments()[1:3]
    harm(store, segment)
    flip(store.folder / other.index_file, 20)

    while store.checks.next(FAST):
        pass

    assert {damage.file for damage in store.damages} == {segment.file, other.index_file}
    assert numbers_in(store.snapshot()) == [*range(10), *range(20, 40)]
    store.compact()
    assert store.verify() == ()


def test_indexes_alone_are_read_to_be_made_anew(store: Store) -> None:
    bad, spared = store.segments()[:2]
    flip(store.folder / bad.index_file, bad.index_bytes // 2)
    harm(store, spared)

    store.checks.indexes()

    assert [(damage.file, damage.events) for damage in store.damages] == [(bad.index_file, 0)]
    assert store.unindexed() == (bad,)


def test_it_is_as_slow_as_it_is_told_and_ends_when_the_store_is_closed(store: Store) -> None:
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(store.checks.next, 1)
        store.close()
        with pytest.raises(StoreClosed):
            reading.result()


def test_suspects_are_read_at_once_and_not_again_for_a_minute(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, bad, _, _ = store.segments()
    harm(store, bad)
    taken, suspects = reads(monkeypatch), {sound.file, bad.file}

    (damage,) = store.checks.suspects(suspects)
    assert (damage.file, damage.events, store.stats().set_aside) == (bad.file, 10, 1)
    assert store.checks.suspects(suspects) == (damage,), "another query was on its way"
    assert store.checks.suspects({sound.file}) == ()
    assert taken == [sound.file, bad.file]
    clock.now += 61
    harm(store, sound)
    assert [each.file for each in store.checks.suspects(suspects)] == [bad.file, sound.file]
    assert numbers_in(store.snapshot()) == list(range(20, 40))


def test_suspects_that_nobody_can_read_now_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(checks, "verify_all", refuse)
    assert store.checks.suspects({one.file for one in store.segments()}) == ()
    with pytest.raises(OSError, match="Too many"):
        store.checks.next(FAST)
    assert len(store.segments()) == 4


def test_a_query_that_ends_ends_the_reading_and_the_next_one_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, taken = [one.file for one in store.segments()], reads(monkeypatch)

    class OverError(Exception):
        pass

    def upto(count: int) -> Callable[[int], None]:
        def proceed(_: int) -> None:
            if len(taken) > count:
                raise OverError

        return proceed

    with pytest.raises(OverError):
        store.checks.suspects(files, upto(2))
    assert store.checks.suspects(files) == ()
    assert taken == [*files[:3], *files[2:]]
