"""Work for threads: so much of it at once, and no more results than that wait to be taken."""

import asyncio
import threading

import pytest

from log_cache.workers import Workers


def test_no_more_is_done_at_once_than_there_are_threads() -> None:
    workers, at_once = Workers(2, "test"), threading.Semaphore(2)

    def work(number: int) -> int:
        assert at_once.acquire(blocking=False)
        at_once.release()
        return number

    async def scenario() -> list[int]:
        return await asyncio.gather(*[workers.run(work, number) for number in range(100)])

    assert asyncio.run(scenario()) == list(range(100))


def test_what_fails_fails_for_whoever_asked() -> None:
    def work() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        asyncio.run(Workers(1, "test").run(work))


def test_whoever_leaves_gives_the_turn_back() -> None:
    workers, goes_on = Workers(1, "test"), threading.Event()

    async def scenario() -> int:
        leaver = asyncio.ensure_future(workers.run(goes_on.wait))
        await asyncio.sleep(0)
        leaver.cancel()
        goes_on.set()
        return await workers.run(int, "7")

    assert asyncio.run(scenario()) == 7


def test_nothing_begins_once_they_are_closed() -> None:
    workers = Workers(1, "test")
    workers.close()

    with pytest.raises(RuntimeError):
        asyncio.run(workers.run(int))
