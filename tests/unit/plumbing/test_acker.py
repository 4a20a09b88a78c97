"""Acknowledgements leave at once after a quiet time, and together when busy."""

import asyncio
import gc

import pytest

from plumbing import acker as acker_module
from plumbing.acker import PROMPT_BYTES, Acker
from plumbing.acks import decode_ack


async def acknowledged_by(steps: list[tuple[int, int]], *, finish: bool = False) -> list[int]:
    """Feed (messages, bytes of each) steps, letting the acker run between them; returns what it told."""
    told: list[int] = []

    async def write(message: bytes) -> None:
        told.append(decode_ack(message))

    acker = Acker(write)
    for messages, size in steps:
        for _ in range(messages):
            acker.done(size)
        for _ in range(5):
            await asyncio.sleep(0)
    if finish:
        await acker.finish()
    acker.cancel()
    return told


def test_the_first_message_is_acknowledged_at_once() -> None:
    assert asyncio.run(acknowledged_by([(1, 10)])) == [1]


def test_messages_close_behind_wait_to_be_acknowledged_together() -> None:
    assert asyncio.run(acknowledged_by([(1, 10), (5, 10), (5, 10)])) == [1]


def test_many_bytes_are_acknowledged_at_once() -> None:
    assert asyncio.run(acknowledged_by([(1, 10), (1, PROMPT_BYTES)])) == [1, 2]


def test_finishing_tells_the_rest_at_once_and_once() -> None:
    assert asyncio.run(acknowledged_by([(1, 10), (5, 10)], finish=True)) == [1, 6]
    assert asyncio.run(acknowledged_by([(1, 10)], finish=True)) == [1]
    assert asyncio.run(acknowledged_by([], finish=True)) == []


def test_finishing_is_no_time_for_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acker_module, "INTERVAL_S", 3600.0)

    async def scenario() -> list[int]:
        async with asyncio.timeout(1):
            return await acknowledged_by([(0, 0)], finish=True)

    assert asyncio.run(scenario()) == []


def test_a_stream_that_breaks_is_nothing_the_acker_complains_about() -> None:
    async def scenario() -> list[object]:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

        async def write(_: bytes) -> None:
            raise asyncio.InvalidStateError("RPC already finished.")

        acker = Acker(write)
        acker.done(1)
        for _ in range(5):
            await asyncio.sleep(0)
        acker.cancel()
        del acker
        gc.collect()
        return complaints

    assert asyncio.run(scenario()) == []


def test_finishing_waits_for_a_write_that_is_under_way() -> None:
    async def scenario() -> list[str]:
        events: list[str] = []
        slow = asyncio.Event()

        async def write(_: bytes) -> None:
            events.append("writing")
            await slow.wait()
            events.append("written")

        acker = Acker(write)
        acker.done(1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        finishing = asyncio.ensure_future(acker.finish())
        await asyncio.sleep(0)
        assert not finishing.done()
        slow.set()
        await finishing
        return events

    assert asyncio.run(scenario()) == ["writing", "written"]
