"""trio and the island hand each other work, results, errors and cancellations."""

import asyncio
import threading

import pytest
import trio

from plumbing.island import open_island


async def test_a_coroutine_runs_on_the_islands_thread_and_returns_its_result() -> None:
    async def where() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    async with open_island() as island:
        assert await island.run(where) == "grpc-island"


async def test_an_error_on_the_island_is_raised_in_trio() -> None:
    async def fail() -> None:
        raise LookupError("over there")

    async with open_island() as island:
        with pytest.raises(LookupError, match="over there"):
            await island.run(fail)


async def test_a_plain_function_is_called_between_steps() -> None:
    async with open_island() as island:
        assert await island.call(lambda: 7) == 7


async def test_cancelling_the_wait_cancels_the_coroutine() -> None:
    cancelled = threading.Event()

    async def wait_forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with open_island() as island:
        with trio.move_on_after(0.01):
            await island.run(wait_forever)
        assert await trio.to_thread.run_sync(cancelled.wait, 5)


async def test_leaving_cancels_what_still_runs_and_ends_the_thread() -> None:
    cancelled = threading.Event()

    async def wait_forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with open_island() as island:
        island.post(lambda: asyncio.ensure_future(wait_forever()))
        await island.call(lambda: None)

    assert cancelled.is_set()
    assert all(thread.name != "grpc-island" for thread in threading.enumerate())
