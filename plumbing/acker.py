"""Send acknowledgements up a stream: at once after a quiet time, then together, so that few messages carry them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from plumbing.acks import encode_ack

INTERVAL_S = 0.1  # a gRPC message costs 36-107 µs: ten a second are nothing
PROMPT_BYTES = 512 << 10  # a quarter of a sender's window: it must never have to wait for the interval


class Acker:
    """Counts the messages of one stream as they are dealt with, and tells the sender."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._write = write
        self._done = 0
        self._told = 0
        self._untold_bytes = 0
        self._finishing = False
        self._message: bytes | None = None
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())
        # Who reads the stream hears that it broke; nobody else asks.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    def done(self, size: int) -> None:
        """One more message, of `size` bytes, has been dealt with."""
        self._done += 1
        self._untold_bytes += size
        self._news.set()
        if self._untold_bytes >= PROMPT_BYTES:
            self._urgent.set()

    def send(self, message: bytes) -> None:
        """Send something else up the stream at once, in place of whatever of that has not left yet."""
        self._message = message
        self._news.set()
        self._urgent.set()

    async def finish(self) -> None:
        """Tell what is not told yet, and no more; then the stream is free for another writer."""
        self._finishing = True
        self._news.set()
        self._urgent.set()
        await self._task

    def cancel(self) -> None:
        """Stop at once: the stream is gone."""
        self._task.cancel()

    async def _run(self) -> None:
        while not self._finishing:
            await self._news.wait()
            self._news.clear()
            await self._tell()
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self._urgent.wait()
            self._urgent.clear()
        await self._tell()

    async def _tell(self) -> None:
        if (message := self._message) is not None:
            self._message = None
            await self._write(message)
        self._untold_bytes = 0
        if self._done > self._told:
            self._told = self._done
            await self._write(encode_ack(self._told))
