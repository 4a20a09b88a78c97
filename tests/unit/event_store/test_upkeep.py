"""A store is flushed when it is due, and again when there is room; what it holds is known without asking it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import trio
from structlog.testing import capture_logs

from event_store.storage import StoreFull, StoreStats
from event_store.upkeep import Upkeep

NOTHING = StoreStats(
    events=0,
    segments=0,
    segment_bytes=0,
    hot_events=0,
    hot_bytes=0,
    wal_bytes=0,
    next_seq=0,
    version=0,
    set_aside=0,
    damages=(),
    recovery_s=0.0,
)


class FakeChecks:
    """Reads what is due, at the speed that is told; raises what it is told."""

    def __init__(self) -> None:
        self.due: list[int | Exception] = []
        self.speeds: set[int] = set()

    def next(self, bytes_per_s: int) -> int:
        self.speeds.add(bytes_per_s)
        found = self.due.pop(0) if self.due else 0
        if isinstance(found, Exception):
            raise found
        return found


class FakeStore:
    def __init__(self, *, full: int = 0, cramped: int = 0) -> None:
        self.full = full
        self.cramped = cramped
        self.hot = 0
        self.segments = 0
        self.looks = 0
        self.small = 0
        self.checks = FakeChecks()

    def flush_due(self) -> bool:
        return bool(self.hot)

    def flush(self) -> None:
        if self.full:
            self.full -= 1
            raise StoreFull("no room")
        self.hot, self.segments = 0, self.segments + 1

    def compact(self) -> int:
        if self.cramped:
            self.cramped -= 1
            raise StoreFull("no room")
        joined, self.small = self.small, 0
        return joined

    def stats(self) -> StoreStats:
        self.looks += 1
        return replace(NOTHING, hot_events=self.hot, segments=self.segments)


async def look_after(upkeep: Upkeep, until: Callable[[], bool]) -> None:
    """Run it until something is so."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(upkeep.run)
        while not until():
            await trio.sleep(0.1)
        nursery.cancel_scope.cancel()


async def test_what_is_due_is_flushed_and_what_is_not_is_left(autojump_clock: trio.testing.MockClock) -> None:
    upkeep = Upkeep(store := FakeStore())
    await look_after(upkeep, lambda: store.looks > 5)
    assert (store.segments, upkeep.flushes) == (0, 0)

    store.hot = 5
    await look_after(upkeep, lambda: upkeep.seen.segments == 1)
    assert (store.segments, upkeep.flushes, upkeep.trouble) == (1, 1, "")


async def test_it_is_known_what_there_was_at_the_last_look(autojump_clock: trio.testing.MockClock) -> None:
    upkeep = Upkeep(store := FakeStore())
    store.segments = 7
    assert upkeep.seen.segments == 0

    await look_after(upkeep, lambda: upkeep.seen.segments == 7)


async def test_what_finds_no_room_is_tried_again_and_told_once(autojump_clock: trio.testing.MockClock) -> None:
    store = FakeStore(full=4)
    store.hot = 5
    upkeep = Upkeep(store)
    with capture_logs() as said:
        await look_after(upkeep, lambda: store.full == 2 and upkeep.trouble == "no room")
        assert (store.segments, upkeep.flushes) == (0, 0)
        await look_after(upkeep, lambda: upkeep.seen.segments == 1)

    assert (upkeep.flushes, upkeep.trouble) == (1, "")
    assert [line["event"] for line in said] == ["store_unflushed"]


async def test_segments_are_joined_now_and_then_and_later_where_there_is_no_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    upkeep = Upkeep(store := FakeStore(cramped=3))
    store.small = 16
    with capture_logs() as said:
        await look_after(upkeep, lambda: upkeep.compacted == 16)

    assert (store.small, store.cramped) == (0, 0)
    assert [line["event"] for line in said] == ["store_uncompacted"]


async def test_what_is_due_is_read_again_and_what_cannot_be_now_is_told(autojump_clock: trio.testing.MockClock) -> None:
    upkeep = Upkeep(store := FakeStore(), 500)
    store.checks.due = [100, 20, OSError("too many open files"), 3, 0, StoreFull("no room"), 4000]
    with capture_logs() as said:
        await look_after(upkeep, lambda: upkeep.verified_bytes == 4123)

    assert store.checks.speeds == {500}
    assert [(line["event"], line["error"]) for line in said] == [
        ("segment_unverified", "too many open files"),
        ("segment_unverified", "no room"),
    ]


async def test_nothing_is_read_again_if_so_it_is_set(autojump_clock: trio.testing.MockClock) -> None:
    upkeep = Upkeep(store := FakeStore(), 0)
    await look_after(upkeep, lambda: store.looks > 100)
    assert store.checks.speeds == set()
