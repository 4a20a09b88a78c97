"""Look after the store: flush it when it is due, and know in numbers what it holds. A trio task, and threads.

Drops: nothing. What cannot be flushed for want of room stays in the log, and is tried again.
"""

from __future__ import annotations

import time
from typing import Protocol

import structlog
import trio

from event_store.storage import StoreFull, StoreStats

log = structlog.get_logger(__name__)

_LOOK_S = 0.5
_NO_ROOM_S = 5.0


class Flushes(Protocol):
    """What is looked after: `event_store.storage.Store`."""

    def flush_due(self) -> bool:
        """Whether it is time to flush."""

    def flush(self) -> None:
        """Make segments of what is in memory; `StoreFull` leaves it there."""

    def stats(self) -> StoreStats:
        """Count what there is."""


class Upkeep:
    """Keeps a store in order from `run` until cancelled."""

    def __init__(self, store: Flushes) -> None:
        self.seen = store.stats()
        """What the store held at the last look."""
        self.flushes = 0
        self.flush_s = 0.0
        """How long those took in all."""
        self.trouble = ""
        """Why nothing can be flushed now; empty when it can."""
        self._store = store

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await trio.sleep(_NO_ROOM_S if self.trouble else _LOOK_S)
            if self._store.flush_due():
                await self.flush()
            self.seen = await trio.to_thread.run_sync(self._store.stats)

    async def flush(self) -> None:
        """Flush, if there is room; once begun it is not cancelled."""
        began = time.perf_counter()
        try:
            await trio.to_thread.run_sync(self._store.flush)
        except StoreFull as error:
            self._no_room(str(error))
            return
        self.trouble = ""
        self.flushes += 1
        self.flush_s += time.perf_counter() - began

    def _no_room(self, trouble: str) -> None:
        if not self.trouble:
            log.error("store_unflushed", error=trouble)
        self.trouble = trouble
