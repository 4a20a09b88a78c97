"""Look after the store: flush it, compact it, read it again, and know in numbers what it holds. Trio tasks, threads.

Drops: what is kept no longer, as the store says. What cannot be flushed for want of room stays in the log, and is
       tried again; so is what cannot be compacted. What is found damaged is set aside, and the store says so.
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
_COMPACT_S = 10.0
_NOTHING_DUE_S = 10.0


class Rereading(Protocol):
    """What reads the store again: `event_store.storage.checks.Checks`."""

    def next(self, bytes_per_s: int) -> int:
        """Read what was not read for longest, no faster than that; how many bytes, 0 if nothing is due."""


class Kept(Protocol):
    """What is looked after: `event_store.storage.Store`."""

    @property
    def checks(self) -> Rereading:
        """What finds damage in it."""

    def flush_due(self) -> bool:
        """Whether it is time to flush."""

    def flush(self) -> None:
        """Make segments of what is in memory; `StoreFull` leaves it there."""

    def compact(self) -> int:
        """Drop and join segments; how many went into others. `StoreFull` leaves all as it was."""

    def stats(self) -> StoreStats:
        """Count what there is."""


class Upkeep:
    """Keeps a store in order from `run` until cancelled."""

    def __init__(self, store: Kept, verify_bytes_per_s: int = 0) -> None:
        """Read the store again as fast as that, or not at all."""
        self.seen = store.stats()
        """What the store held at the last look."""
        self.flushes = 0
        self.flush_s = 0.0
        """How long those took in all."""
        self.compacted = 0
        """Segments that went into others."""
        self.compact_s = 0.0
        """How long that took in all."""
        self.verified_bytes = 0
        """Read again."""
        self.verify_s = 0.0
        """Seconds of a processor that it took."""
        self.trouble = ""
        """Why nothing can be flushed now; empty when it can."""
        self._store = store
        self._verify_bytes_per_s = verify_bytes_per_s

    async def run(self) -> None:
        """Look again and again."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._flush_when_due)
            nursery.start_soon(self._compact)
            if self._verify_bytes_per_s:
                nursery.start_soon(self._verify)

    async def _flush_when_due(self) -> None:
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

    async def _compact(self) -> None:
        """Compact again and again; when cancelled, the store ends what runs as it is closed."""
        is_full = False
        while True:
            await trio.sleep(_COMPACT_S)
            began = time.perf_counter()
            try:
                self.compacted += await trio.to_thread.run_sync(self._store.compact, abandon_on_cancel=True)
            except StoreFull as error:
                if not is_full:
                    log.error("store_uncompacted", error=str(error))  # noqa: TRY400  # it says enough
                is_full = True
                continue
            is_full = False
            self.compact_s += time.perf_counter() - began

    async def _verify(self) -> None:
        """Read again what is due, one after the other; when cancelled, the store ends what runs as it is closed."""
        while True:
            try:
                read = await trio.to_thread.run_sync(self._verify_next, abandon_on_cancel=True)
            except (OSError, StoreFull) as error:
                log.warning("segment_unverified", error=str(error))
                read = 0
            if not read:
                await trio.sleep(_NOTHING_DUE_S)

    def _verify_next(self) -> int:
        began = time.thread_time()
        try:
            read = self._store.checks.next(self._verify_bytes_per_s)
        finally:
            self.verify_s += time.thread_time() - began
        self.verified_bytes += read
        return read

    def _no_room(self, trouble: str) -> None:
        if not self.trouble:
            log.error("store_unflushed", error=trouble)
        self.trouble = trouble
