"""On the island, followers are woken when something arrives for them, and memory is looked after."""

import asyncio
from collections.abc import Callable, Coroutine
from time import perf_counter

import pytest
import structlog.testing

from log_cache.cache import Cache
from log_cache.cursor import Position
from log_cache.memory import MemoryLimit
from log_cache.store import Store, StoreLimits
from tests.unit.log_cache.envelopes import ALL, batch_of_times, times

LONG_S = 30
Story = Callable[[Cache], Coroutine[object, object, None]]


def told(story: Story, **limits: int) -> Cache:
    """Run a story on a loop, with a clock that stands at 100."""
    cache = Cache(Store(StoreLimits(**limits)), lambda: 100)
    asyncio.run(story(cache))
    return cache


async def started(cache: Cache, *waits: Coroutine[object, object, bool]) -> list[asyncio.Task[bool]]:
    """Start some that wait, and let them come as far as that."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    while cache.waiting < len(tasks):
        await asyncio.sleep(0)
    return tasks


def test_what_was_put_is_seen_at_once() -> None:
    async def story(cache: Cache) -> None:
        cache.put(batch_of_times(2, 1), 2)
        assert cache.meta()[b"app"].count == 2
        assert times(cache.view(b"app", 0, 9, ALL).take(9).batch) == [1, 2]
        assert times(cache.follow(b"app", None, ALL).take(9).batch) == [2, 1]

    told(story)


def test_who_waits_is_woken_by_what_arrives() -> None:
    async def story(cache: Cache) -> None:
        cache.put(batch_of_times(1), 1)
        behind = cache.follow(b"app", None, ALL).end
        waits = await started(cache, cache.wait(b"app", behind, LONG_S), cache.wait(b"late", Position(0, 0), LONG_S))

        cache.put(batch_of_times(2), 1)
        assert await waits[0]
        assert not waits[1].done()
        cache.put(batch_of_times(3, source="late"), 1)
        assert await waits[1]
        assert cache.waiting == 0

    told(story)


def test_all_who_wait_for_one_source_are_woken() -> None:
    async def story(cache: Cache) -> None:
        waits = await started(cache, *(cache.wait(b"app", None, LONG_S) for _ in range(5)))
        cache.put(batch_of_times(1), 1)
        assert all(await asyncio.gather(*waits))

    told(story)


def test_who_waits_is_woken_although_the_store_dealt_it_out_by_itself() -> None:
    async def story(cache: Cache) -> None:
        (wait,) = await started(cache, cache.wait(b"app", None, LONG_S))
        cache.put(batch_of_times(*range(5000)), 5000)
        assert cache.store.waiting == 0
        assert await wait

    told(story)


def test_nobody_waits_for_what_is_there() -> None:
    async def story(cache: Cache) -> None:
        cache.put(batch_of_times(1, 2), 2)
        assert await cache.wait(b"app", cache.follow(b"app", None, ALL).take(1).position, 0)

    told(story)


def test_waiting_ends_after_a_while() -> None:
    async def story(cache: Cache) -> None:
        assert not await cache.wait(b"app", None, 0.001)
        assert cache.waiting == 0

    told(story)


def test_whoever_stops_waiting_leaves_nothing_behind() -> None:
    async def story(cache: Cache) -> None:
        (wait,) = await started(cache, cache.wait(b"app", None, LONG_S))
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        assert cache.waiting == 0

    told(story)


def test_a_put_is_dealt_out_within_two_milliseconds_while_somebody_waits() -> None:
    async def story(cache: Cache) -> None:
        took: list[float] = []
        for turn in range(50):
            behind = cache.follow(b"app", None, ALL).end
            (wait,) = await started(cache, cache.wait(b"app", behind, LONG_S))
            began = perf_counter()
            cache.put(batch_of_times(turn), 1)
            await wait
            took.append(perf_counter() - began)
        assert min(took) < 0.002

    told(story)


def test_what_is_too_old_goes_at_every_look() -> None:
    async def story(cache: Cache) -> None:
        cache.put(batch_of_times(50, 95), 2)
        keeping = asyncio.ensure_future(cache.keep_within(MemoryLimit(1 << 40), 0.001))
        while cache.store.expired < 1:
            await asyncio.sleep(0)
        cache.put(batch_of_times(51, 96), 2)
        while cache.store.expired < 2:
            await asyncio.sleep(0)
        keeping.cancel()

    assert told(story, retention_ns=10).seen.held >= 1


def test_very_many_sources_that_become_too_old_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("log_cache.cache._EXPIRED_AT_ONCE", 10)

    async def story(cache: Cache) -> None:
        for source in range(100):
            cache.put(batch_of_times(50, source=str(source)), 1)
        keeping = asyncio.ensure_future(cache.keep_within(MemoryLimit(1 << 40), LONG_S))
        turns = 0
        while cache.store.expired < 100:
            await asyncio.sleep(0)
            turns += 1
        keeping.cancel()
        assert turns >= 10

    told(story, retention_ns=10)


def test_a_limit_that_leaves_no_room_is_told_once() -> None:
    async def story(cache: Cache) -> None:
        for _ in range(3):
            cache.put(batch_of_times(1), 1)
            cache.tidy(MemoryLimit(1 << 20))
            assert cache.store.held == 0
        cache.tidy(MemoryLimit(1 << 40))

    with structlog.testing.capture_logs() as lines:
        told(story)

    assert [(line["event"], line["log_level"]) for line in lines] == [("memory_limit_leaves_no_room", "warning")]


def test_memory_that_is_too_much_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(cache: Cache) -> None:
        monkeypatch.setattr("log_cache.cache.resident_bytes", lambda: cache.store.held_bytes + (70 << 20))
        for start in range(0, 30_000, 1000):
            cache.put(batch_of_times(*range(start, start + 1000), size=300), 1000)
        cache.store.settle()
        limit = MemoryLimit(((78 << 20) + cache.store.held_bytes // 2) * 32 // 31)
        budget = limit.budget_bytes(70 << 20, 0)

        cache.tidy(limit)

        assert cache.store.budget_bytes == budget
        assert budget // 2 < cache.store.held_bytes <= budget
        assert cache.store.expired > 0
        assert cache.seen == cache.seen._replace(held=cache.store.held, expired=30_000 - cache.store.held)

    told(story)
