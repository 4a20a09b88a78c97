"""A queue in memory as long as its taker keeps up, and on disk beyond that.

In:    batches, in order.
Out:   the same, one at a time, to one taker; again after a restart, those that were on disk and not done.
Drops: the oldest on disk, when the spool is full; what is corrupt there. Both are counted in envelopes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import structlog
import trio

from plumbing.spool import MAX_FRAME_BYTES, Frame, Kept, Spool, SpoolUnwritable

log = structlog.get_logger(__name__)

Mode: TypeAlias = Literal["when_slow", "always"]

_OVERHEAD_BYTES = 256  # what a batch has in memory besides its bytes: so many small ones have a bound, too
_READ_BYTES = 1 << 20
_RETRY_S = 1.0


@dataclass(slots=True, eq=False)
class Entry:
    """A batch that waits to be taken, and stays valid until it is done."""

    batch: bytes
    count: int
    id: str = ""
    """The spool's id and its own: the same for all its life, also in another process. Empty when it is on no disk."""
    marks: tuple[bytes, ...] = ()
    seq: int | None = None
    """Where it is in the spool; None when it is not there."""


class _Waiting(NamedTuple):
    entry: Entry
    safe: Callable[[], None]
    since: float

    @property
    def size(self) -> int:
        return len(self.entry.batch) + _OVERHEAD_BYTES


class Backlog:
    """What was put and is not done, the oldest first.

    `received + recovered == delivered + refused + skipped + dropped + corrupt + held` at every moment, in envelopes.
    `memory_bytes` bounds what waits in memory, each batch counting 256 bytes more than it has; a single batch larger
    than that is held alone. What is read ahead from the disk has another MiB at most, or one batch.
    """

    def __init__(
        self, spool: Spool | None, *, memory_bytes: int, mode: Mode = "when_slow", patience_s: float = 0.5
    ) -> None:
        self.received = self.delivered = self.refused = self.skipped = 0
        self.dropped = self.corrupt = self.on_disk = self.recovered = 0
        self._spool = spool
        self._memory_bytes = memory_bytes
        self._always = mode == "always" and spool is not None
        self._patience_s = patience_s
        self._memory: deque[_Waiting] = deque()
        self._memory_size = self._memory_held = 0
        self._disk_bytes = self._adrift = 0
        self._ahead: deque[Entry] = deque()
        """Read from the disk, and not asked for yet."""
        self._unread = spool is not None and spool.held_bytes + spool.held > 0
        self._current: Entry | None = None
        self._closed = self._spilling = self._idle = False
        self._disk = trio.Lock()
        self._putting = trio.StrictFIFOLock()
        self._news, self._room, self._work = (trio.lowlevel.ParkingLot() for _ in range(3))
        if spool is not None:
            self.recovered = spool.recovered
            self._look(spool)

    @property
    def held(self) -> int:
        """Envelopes that are not done, in memory and on disk."""
        return self._memory_held + self._adrift + self.on_disk

    @property
    def unsafe(self) -> int:
        """Those of them that are in memory alone, and that nobody was told are safe."""
        return self._memory_held

    @property
    def held_bytes(self) -> int:
        """Their bytes."""
        return self._memory_size - len(self._memory) * _OVERHEAD_BYTES + self._disk_bytes

    async def put(self, batch: bytes, count: int, *, marks: Sequence[bytes] = (), safe: Callable[[], None]) -> None:
        """Take a batch, once there is room for it in memory; without a spool that is when others are done.

        `safe` is called once, when the batch is on disk or done, in this or any later call of whoever uses the
        backlog; it must not raise. ClosedResourceError when closed, and ValueError when it is larger than any disk
        takes (64 MiB): then it was not taken.
        """
        if len(batch) + sum(len(mark) + _OVERHEAD_BYTES for mark in marks) > MAX_FRAME_BYTES - _OVERHEAD_BYTES:
            raise ValueError(f"a batch of {len(batch)} bytes cannot be kept")
        async with self._putting:
            waiting = _Waiting(Entry(batch, count, marks=tuple(marks)), safe, trio.current_time())
            while not self._closed and self._memory and self._memory_size + waiting.size > self._memory_bytes:
                self._work.unpark_all()
                await self._room.park()
            if self._closed:
                raise trio.ClosedResourceError("the backlog is closed")
            self._memory.append(waiting)
            self._memory_size += waiting.size
            self._memory_held += count
            self.received += count
            self._news.unpark_all()
            if self._idle:
                self._work.unpark_all()

    async def next(self) -> Entry | None:
        """Wait for the oldest and return it, without removing it; None when the backlog is closed and empty."""
        await trio.lowlevel.checkpoint()
        while self._current is None:
            if self._ahead:
                self._current = self._ahead.popleft()
            elif self._unread:
                await self._read_ahead()
            elif self._memory and not self._always and not self._spilling:
                self._current = self._memory[0].entry
            elif self._closed and not self._memory:
                return None
            else:
                await self._news.park()
        return self._current

    async def done(self, entry: Entry, refused: int = 0, skipped: int = 0) -> None:
        """Let go of what `next` returned: it was delivered, but for `refused` and `skipped` envelopes of it."""
        if entry is not self._current:
            raise ValueError("only what `next` returned can be done, and once")
        with trio.CancelScope(shield=True):  # what was delivered is counted, and does not come again
            async with self._writing() as spool:
                if entry.seq is not None and spool is not None:
                    counted = -spool.done_total
                    await trio.to_thread.run_sync(spool.commit, entry.seq)
                    counted += spool.done_total
                elif self._memory and self._memory[0].entry is entry:
                    counted = entry.count
                    self._release(1)
                else:
                    counted = 0  # it was lost on disk, and counted there
                refused = min(refused, counted)
                skipped = min(skipped, counted - refused)
                self.refused += refused
                self.skipped += skipped
                self.delivered += counted - refused - skipped
                self._current = None
        self._after_progress()

    def close(self) -> None:
        """Take no more; `next` returns what is held, and then None."""
        self._closed = True
        for lot in (self._news, self._room, self._work):
            lot.unpark_all()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Put on disk what must go there, until the backlog is closed and empty; when cancelled, all that is held.

        That is: everything in memory once the oldest waited longer than `patience_s`, or there is no room for the
        next; what comes while anything is on disk; in the mode `always`, everything.
        """
        task_status.started()
        try:
            while not (self._closed and not self.held):
                await self._wait_until_due()
                if self._memory and self._is_due():
                    await self._spill_or_wait()
        finally:
            with trio.CancelScope(shield=True):
                await self._spill_at_the_end()

    def _is_due(self) -> bool:
        if self._spool is None or not self._memory:
            return False
        if self._always or self.on_disk or self._room:
            return True
        return trio.current_time() >= self._memory[0].since + self._patience_s

    async def _wait_until_due(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._is_due() or (self._closed and not self.held):
            return
        if self._memory and self._spool is not None:
            with trio.move_on_at(self._memory[0].since + self._patience_s):
                await self._work.park()
            return
        self._idle = True
        try:
            await self._work.park()
        finally:
            self._idle = False

    async def _spill_or_wait(self) -> None:
        try:
            await self._spill()
        except SpoolUnwritable as error:
            log.warning("spool_unwritable", error=str(error))
            while self._memory:
                await trio.sleep(_RETRY_S)
                try:
                    await self._spill()
                except SpoolUnwritable:
                    continue
                log.info("spool_writable")
                return

    async def _spill_at_the_end(self) -> None:
        try:
            await self._spill()
        except SpoolUnwritable as error:
            log.warning("spool_unwritable", error=str(error), held=self._memory_held)
        async with self._writing() as spool:
            if spool is not None:
                spool.rewind()  # what is in hand and no file has any more ends here, and is counted

    async def _spill(self) -> None:
        """Put all that is in memory on disk. What is in hand goes first, and alone: its place is to be known."""
        async with self._writing() as spool:
            if spool is None:
                return
            self._spilling = True
            try:
                if self._memory and self._memory[0].entry is self._current:
                    entry = self._memory[0].entry
                    kept = await trio.to_thread.run_sync(_put_and_read, spool, _frames(self._memory, 1))
                    self._name(entry, kept)
                    self._spilled(spool, 1)
                if count := len(self._memory):
                    await trio.to_thread.run_sync(spool.put, _frames(self._memory, count))
                    self._spilled(spool, count)
                    self._unread = True
            finally:
                self._spilling = False
                self._after_progress()

    def _name(self, entry: Entry, kept: Sequence[Kept]) -> None:
        if kept and self._spool is not None:
            entry.seq, entry.id = kept[0].seq, f"{self._spool.id}-{kept[0].seq}"

    def _spilled(self, spool: Spool, count: int) -> None:
        self._look(spool)
        self._release(count)

    def _release(self, count: int) -> None:
        """Take the oldest out of memory: they are safe."""
        gone = [self._memory.popleft() for _ in range(count)]
        self._memory_size -= sum(waiting.size for waiting in gone)
        self._memory_held -= sum(waiting.entry.count for waiting in gone)
        for waiting in gone:
            waiting.safe()

    async def _read_ahead(self) -> None:
        async with self._writing() as spool:
            if spool is None or not self._unread:
                return
            kept = await trio.to_thread.run_sync(spool.read, min(_READ_BYTES, self._memory_bytes))
            self._unread = bool(kept)
            self._ahead.extend(Entry(k.batch, k.count, f"{spool.id}-{k.seq}", k.marks, k.seq) for k in kept)
        if self._closed:
            self._work.unpark_all()  # if the rest is corrupt, that was the end

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Spool | None]:
        """Have the spool for ourselves; its counts are taken over before anybody else sees ours."""
        async with self._disk:
            try:
                yield self._spool
            finally:
                if self._spool is not None:
                    self._look(self._spool)

    def _look(self, spool: Spool) -> None:
        self.dropped, self.corrupt = spool.dropped_total, spool.corrupt_total
        self._adrift, self._disk_bytes = spool.adrift, spool.held_bytes
        self.on_disk = spool.held - spool.adrift

    def _after_progress(self) -> None:
        self._news.unpark_all()
        self._room.unpark_all()
        if self._idle or self._closed:
            self._work.unpark_all()


def _put_and_read(spool: Spool, frames: Sequence[Frame]) -> list[Kept]:
    spool.put(frames)
    return spool.read(1)


def _frames(waiting: Sequence[_Waiting] | deque[_Waiting], count: int) -> list[Frame]:
    chosen = [waiting[index].entry for index in range(count)]
    return [Frame(entry.batch, entry.count, entry.marks) for entry in chosen]
