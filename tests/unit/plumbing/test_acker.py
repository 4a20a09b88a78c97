"""Acknowledgements leave at once after a quiet time, and together when busy."""

import asyncio
from contextlib import suppress

from plumbing.acker import PROMPT_BYTES, Acker
from plumbing.acks import decode_ack


async def acknowledged_by(steps: list[tuple[int, int]]) -> list[int]:
    """Feed (messages, bytes of each) steps, letting the acker run between them; returns what it told."""
    told: list[int] = []

    async def write(message: bytes) -> None:
        told.append(decode_ack(message))

    acker = Acker(write)
    running = asyncio.ensure_future(acker.run())
    for messages, size in steps:
        for _ in range(messages):
            acker.done(size)
        for _ in range(5):
            await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return told


def test_the_first_message_is_acknowledged_at_once() -> None:
    assert asyncio.run(acknowledged_by([(1, 10)])) == [1]


def test_messages_close_behind_wait_to_be_acknowledged_together() -> None:
    assert asyncio.run(acknowledged_by([(1, 10), (5, 10), (5, 10)])) == [1]


def test_many_bytes_are_acknowledged_at_once() -> None:
    assert asyncio.run(acknowledged_by([(1, 10), (1, PROMPT_BYTES)])) == [1, 2]


def test_nothing_new_is_not_told() -> None:
    async def scenario() -> list[bytes]:
        told: list[bytes] = []

        async def write(message: bytes) -> None:
            told.append(message)

        acker = Acker(write)
        acker.done(1)
        await acker.tell()
        await acker.tell()
        return told

    assert len(asyncio.run(scenario())) == 1
