"""What waits for a drain, in memory as long as it keeps up, and on disk beyond that: the nozzles' own backlog.

In:    batches, at any time. Out: the oldest, one after the other, into the hand of whoever sends.
Drops: `spool_full`: the oldest on disk, when there is no room for more. `corrupt`: what the disk spoilt.
       `overflow`: the oldest in memory, when the disk does not take it for long.
       What a kill finds in memory is gone, unless the Dopplers have not heard that it came: see `intake`. What was in
       hand then comes again.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import count, islice
from pathlib import Path

import structlog
import trio

from plumbing.backlog import Backlog, Entry
from plumbing.spool import Spool, SpoolBusy
from syslog_adapter.binding import Binding
from syslog_adapter.cutting import Hand
from syslog_adapter.inbox import AT_ONCE, Inbox, Together

log = structlog.get_logger(__name__)

_MEMORY_BYTES = 4 << 20
_UNREADABLE_S = 5.0
_TRIES, _BETWEEN_TRIES_S = 100, 0.1
_MOST_LOOKED_FOR = 7
"""As many spools are looked for beside the first, of drains that have one URL."""


@dataclass(frozen=True, slots=True)
class SpoolPlace:
    """Where a drain's spool is, and how much it may hold."""

    directory: Path
    max_bytes: int

    @classmethod
    def of(cls, binding: Binding, spool_dir: Path, max_bytes: float, taken: Container[Path] = ()) -> SpoolPlace:
        """Give each URL of each source a directory: whoever binds it anew, with other credentials, finds what waits.

        Of several with one URL, told apart by their credentials, each has one that is not `taken`: what is there before
        what is to be made.
        """
        name = sha256(f"{binding.source_id}\0{binding.url}".encode()).hexdigest()[:32]
        free = (one for one in (spool_dir / _numbered(name, number) for number in count()) if one not in taken)
        first = next(free)
        found = (one for one in (first, *islice(free, _MOST_LOOKED_FOR)) if one.exists())
        return cls(next(found, first), int(max_bytes))


class SpoolQueue:
    """A backlog, what is on its way to it, and what of it is in hand.

    Nothing is given up: what is on disk is tried until it goes, or newer ones need its room. So what the drain never
    takes holds up all that is behind it.
    """

    gives_up: bool = False

    def __init__(
        self,
        place: SpoolPlace,
        capacity: int,
        capacity_bytes: int,
        together: Together = AT_ONCE,
    ) -> None:
        self.hand = Hand()
        self._place = place
        self._inbox = Inbox(capacity, capacity_bytes, together)
        self._on_the_way = Hand()
        self._backlog = Backlog(None, memory_bytes=_MEMORY_BYTES)
        self._entry: Entry | None = None
        self._over = self._shutting = False
        self._has_disk = True
        self._keep = True
        self._left = self._rescued = 0

    @property
    def directory(self) -> Path:
        """Where it is on disk."""
        return self._place.directory

    @property
    def held(self) -> int:
        """Envelopes that wait, those in hand included."""
        gone = self._entry.count - self.hand.count if self._entry else 0
        return 0 if self._over else self._inbox.held + self._on_the_way.count + self._backlog.held - gone

    @property
    def on_disk(self) -> int:
        """Those of them that a kill leaves."""
        return 0 if self._over else min(self.held, self._backlog.on_disk)

    @property
    def unsafe(self) -> int:
        """Those of them that a kill takes and that are still to go to disk; without a disk nobody waits for that."""
        if self._over or not self._has_disk:
            return 0
        return self._inbox.held + self._on_the_way.count + self._backlog.unsafe

    @property
    def recovered(self) -> int:
        """Envelopes found on disk at the start, less those left there at the end for whoever opens it next."""
        return self._backlog.recovered - self._left

    @property
    def dropped(self) -> Mapping[str, int]:
        """Envelopes for which there was no room, by reason."""
        return {
            "overflow": self._inbox.overflow,
            "spool_full": self._backlog.dropped,
            "corrupt": self._backlog.corrupt - self._rescued,
        }

    def put(self, batch: bytes, count: int) -> None:
        """Take an admitted batch; it does not wait for the disk."""
        self._inbox.put(batch, count)

    def close(self, *, keep: bool) -> None:
        """Wait for nothing more. With `keep`, what does not leave stays on disk for whoever serves this next.

        The first word about that counts.
        """
        self._keep = self._keep if self._inbox.closed else keep
        self._inbox.close()

    def hand_over(self) -> None:
        """Keep what does not leave, whatever `close` was told: somebody waits for it. What is being deleted is gone."""
        self._keep = self._keep or not self._shutting

    def abandon(self) -> int:
        """Let go of all that is held, once it is served no more; say how much of it nobody will find."""
        held, self._left = self.held, self.on_disk if self._keep else 0
        self._over = True
        self.hand.let_go(self.hand.count)
        return held - self._left

    async def serve(self, deliver: Callable[[], Awaitable[None]]) -> None:
        """Have what waits delivered, until closed and empty; when cancelled, all of it goes to disk.

        There it stays for whoever serves this next, or is deleted with its directory, as was said by then. Without a
        disk that can be used it is served from memory alone.
        """
        spool = await self._open()
        try:
            self._has_disk = spool is not None
            self._backlog = Backlog(spool, memory_bytes=_MEMORY_BYTES)
            async with trio.open_nursery() as keeping:
                keeping.start_soon(self._backlog.run)
                keeping.start_soon(self._feed)
                while await self.more(math.inf):
                    await deliver()
                keeping.cancel_scope.cancel()
        finally:
            self._shutting = True
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._shut, spool)

    async def more(self, patience_s: float) -> bool:
        """Have something in hand; false when nothing came for so long, or nothing will come."""
        if not self.hand.count:
            with trio.move_on_after(patience_s):
                self._entry = await self._next()
                if self._entry:
                    self.hand.take(self._entry.batch, self._entry.count)
        return bool(self.hand.count)

    async def done(self) -> None:
        """Hear that something left the hand: once it is empty, the disk need not keep what was in it."""
        if self._entry and not self.hand.count:
            before = self._backlog.delivered
            await self._backlog.done(self._entry)
            self._rescued += self._entry.count - (self._backlog.delivered - before)
            self._entry = None

    async def _next(self) -> Entry | None:
        """Return the oldest; a disk that cannot be read now, for want of file handles say, is asked again."""
        while True:
            try:
                await self.done()  # once more, if that failed: what left the hand must not come into it again
                return await self._backlog.next()
            except OSError as error:
                log.warning("drain_spool_unreadable", directory=str(self._place.directory), error=str(error))
            await trio.sleep(_UNREADABLE_S)

    async def _feed(self) -> None:
        """Move what came into the backlog, as soon as that has room."""
        while self._inbox or not self._inbox.closed:
            await self._inbox.wait()
            await self._inbox.linger()
            if not self._inbox:
                continue
            way = self._on_the_way
            self._inbox.move_into(way)
            await self._backlog.put(way.batch, way.count, safe=_need_not_know)
            way.let_go(way.count)
        self._backlog.close()

    async def _open(self) -> Spool | None:
        """Open the spool; if that cannot be, say so and do without. One that is in use may be free in a moment."""
        opened = partial(Spool.open, self._place.directory, max_bytes=self._place.max_bytes)
        for tries_left in reversed(range(_TRIES)):
            try:
                return await trio.to_thread.run_sync(opened)
            except (SpoolBusy, OSError) as error:
                is_deleted = isinstance(error, FileNotFoundError)  # by the one before, while we opened it
                if not tries_left or (isinstance(error, OSError) and not is_deleted):
                    log.warning("drain_spool_unusable", directory=str(self._place.directory), error=str(error))
                    return None
            await trio.sleep(_BETWEEN_TRIES_S)
        return None

    def _shut(self, spool: Spool | None) -> None:
        if spool is None:
            return
        if not self._keep:
            shutil.rmtree(self._place.directory, ignore_errors=True)  # while it is ours: a successor waits for it
        spool.close()


def _numbered(name: str, number: int) -> str:
    return f"{name}-{number}" if number else name


def _need_not_know() -> None:
    """Nobody waits to hear that a batch is safe."""
