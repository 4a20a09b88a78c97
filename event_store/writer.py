"""Put batches into the store, in order: each is safe once it is on disk. A trio task, and one more beside it.

While a large batch is appended the next is turned into events: two are in hand at most.

In:    batches of envelopes, with the marks they are known again by.
Out:   events, appended together with those marks, so that a kill leaves both or neither.
Drops: an envelope that the store cannot keep, alone, counted as `unfit`. While the disk is full, or memory, nothing is
       dropped and nothing confirmed: it is tried again until there is room, and in halves if it is memory that lacks.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import pyarrow as pa
import structlog
import trio

from envelope import kernel
from envelope.marks import MARK_BYTES
from event_store.events import to_events
from event_store.storage import StoreFull
from plumbing.grpc_client import Backoff

log = structlog.get_logger(__name__)

_WORTH_AHEAD = 2_000
"""As many envelopes are made into events ahead; fewer wait, and more of them come to be appended at once."""

_FIRST_RETRY_S, _MOST_RETRY_S = 0.1, 2.0
_UNFIT = (ValueError, OverflowError, pa.ArrowException)


class Appends(Protocol):
    """Where events are kept: `event_store.storage.Store`."""

    def append(self, batches: Sequence[pa.RecordBatch], marks: bytes = b"") -> int:
        """Keep events, on disk when this returns; `StoreFull` and `ValueError` keep nothing."""


@dataclass(slots=True)
class WriterCounts:
    """What was written."""

    stored: int = 0
    """Envelopes that are on disk."""
    unfit: int = 0
    """Envelopes that the store cannot keep."""
    events: int = 0
    """What became of those on disk: a gauge of several metrics becomes several."""
    appends: int = 0
    append_s: float = 0.0
    """How long those took in all, from bytes to the disk."""
    full: int = 0
    """Tries that found no room, on the disk or in memory."""


class _Part(NamedTuple):
    """Envelopes that are kept together or not at all."""

    batch: bytes
    size: int
    marks: bytes
    events: pa.RecordBatch | None = None
    """What they become, if that is made already."""

    def halves(self) -> list[_Part]:
        """Cut it in two; there must be two envelopes at least."""
        middle = self.size // 2
        cut, mark = kernel.spans(self.batch)[middle][0], middle * MARK_BYTES
        return [
            _Part(self.batch[:cut], middle, self.marks[:mark]),
            _Part(self.batch[cut:], self.size - middle, self.marks[mark:]),
        ]


class Writer:
    """Writes batches to a store; a `plumbing.gathering.gathering.Keeper`."""

    def __init__(self, store: Appends, *, parse_fields: bool) -> None:
        self.counts = WriterCounts()
        self.trouble = ""
        """Why nothing can be written now; empty when it can."""
        self._store = store
        self._parse = parse_fields
        self._backoff = Backoff(random.Random(), first_s=_FIRST_RETRY_S, most_s=_MOST_RETRY_S)
        self._turn = trio.Semaphore(1)
        self._beside: trio.Nursery | None = None

    async def run(self, feed: Callable[[], Awaitable[None]]) -> None:
        """Let `feed` put batches, and return when it has and all of them are written."""
        async with trio.open_nursery() as self._beside:
            await feed()

    async def put(self, batch: bytes, count: int, *, marks: Sequence[bytes] = (), safe: Callable[[], None]) -> None:
        """Write an admitted batch, however long the disk is full; `safe` is called once it is on disk.

        Within `run`, that may be after this has returned. Not for two tasks at once.
        """
        part, ahead = _Part(batch, count, b"".join(marks)), self._beside if count >= _WORTH_AHEAD else None
        if ahead is not None:
            part = await trio.to_thread.run_sync(self._prepared, part)
        await self._turn.acquire()
        if ahead is not None:
            ahead.start_soon(self._write, part, safe)
        else:
            await self._write(part, safe)

    async def _write(self, whole: _Part, safe: Callable[[], None]) -> None:
        """Write what has the turn, as a whole if that can be, and give the turn back."""
        left = deque([whole])
        try:
            while left:
                try:
                    events = await trio.to_thread.run_sync(self._append, left[0])
                except StoreFull as error:
                    await self._wait_for_room(str(error))
                except MemoryError as error:  # Arrow's is one, too: no envelope is to blame
                    await self._wait_for_room(f"out of memory: {error}")
                    left.extendleft(reversed(_smaller(left.popleft())))
                except _UNFIT as error:
                    left.extendleft(reversed(self._without_unfit(left.popleft(), error)))
                else:
                    self._note(left.popleft(), events)
            safe()
        finally:
            self._turn.release()

    def _prepared(self, part: _Part) -> _Part:
        """Make its events, in a thread; where that fails it is left to the one who writes it."""
        try:
            return part._replace(events=self._made(part))
        except (MemoryError, *_UNFIT):
            return part

    def _made(self, part: _Part) -> pa.RecordBatch:
        """Make its events. What fails but for memory is put down to envelopes: who ends meets them again, and again."""
        try:
            return to_events(part.batch, parse=self._parse)
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(f"no event can be made of it: {error!r}") from error

    def _append(self, part: _Part) -> int:
        """Write it, in a thread; returns how many events it became."""
        began = time.perf_counter()
        events = self._made(part) if part.events is None else part.events
        self._store.append([events], part.marks)
        self.counts.append_s += time.perf_counter() - began
        return int(events.num_rows)

    def _note(self, part: _Part, events: int) -> None:
        self.counts.stored += part.size
        self.counts.events += events
        self.counts.appends += 1
        if self.trouble:
            log.info("store_has_room")
            self.trouble = ""
            self._backoff.reset()

    async def _wait_for_room(self, trouble: str) -> None:
        self.counts.full += 1
        if not self.trouble:
            log.error("store_full", error=trouble)
        self.trouble = trouble
        await trio.sleep(self._backoff.next_s())

    def _without_unfit(self, part: _Part, error: Exception) -> list[_Part]:
        """Return the halves of what could not be kept as a whole; of one envelope nothing is left."""
        if part.size > 1:
            return part.halves()
        self.counts.unfit += 1
        log.error("envelope_unfit", size=len(part.batch), error=str(error))
        return []


def _smaller(part: _Part) -> list[_Part]:
    return part.halves() if part.size > 1 else [part._replace(events=None)]
