"""Threads for one kind of work that is too heavy for the island."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Workers:
    """So many threads. Whoever asked takes what came of it before another one's turn comes: results never pile up."""

    def __init__(self, count: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=f"log-cache-{name}")
        self._turns = asyncio.Semaphore(count)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Call a function in a thread, once it is one's turn; a call that has begun goes on when this is cancelled."""
        async with self._turns:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    def close(self) -> None:
        """Begin no call any more; those that are under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
