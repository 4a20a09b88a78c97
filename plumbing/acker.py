"""Send acknowledgements up a stream: at once after a quiet time, then together, so that few messages carry them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

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
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()

    def done(self, size: int) -> None:
        """One more message, of `size` bytes, has been dealt with."""
        self._done += 1
        self._untold_bytes += size
        self._news.set()
        if self._untold_bytes >= PROMPT_BYTES:
            self._urgent.set()

    async def run(self) -> None:
        """Tell the sender until cancelled."""
        while True:
            await self._news.wait()
            await self.tell()
            try:
                async with asyncio.timeout(INTERVAL_S):
                    await self._urgent.wait()
            except TimeoutError:
                continue

    async def tell(self) -> None:
        """Acknowledge everything dealt with so far, if that is news."""
        self._news.clear()
        self._urgent.clear()
        self._untold_bytes = 0
        if self._done > self._told:
            self._told = self._done
            await self._write(encode_ack(self._told))
