"""One drain: what it wants of what comes, what waits for it, and its books.

In:    envelopes of its source, or of everybody.
Out:   messages, through a writer.
Drops: `overflow`: the oldest, when more wait than there is room for. `retries_exhausted`: what failed too often.
       `rate_limited`: what is beyond the drain's `rate-limit`. `closed`: what waited when the drain went.
       With a spool nothing fails too often, and `spool_full` is the oldest on disk, `corrupt` what the disk spoilt.
       What the drain does not ask for, and what has no form as a message, is skipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container
from functools import partial
from pathlib import Path
from typing import Literal

import structlog
import trio

from plumbing.ledger import PART, SINK, Account
from syslog_adapter.arrivals import Arrivals
from syslog_adapter.binding import Binding
from syslog_adapter.delivery import Delivery, Queue, State
from syslog_adapter.drain_url import DrainUrl, parse_drain_url, redacted
from syslog_adapter.inbox import AT_ONCE
from syslog_adapter.memory_queue import MemoryQueue
from syslog_adapter.notices import spoolless_text
from syslog_adapter.options import DrainSettings
from syslog_adapter.shaping import Shaping
from syslog_adapter.sieve import Sieve
from syslog_adapter.spool_queue import SpoolPlace, SpoolQueue

log = structlog.get_logger(__name__)


class Drain:
    """Delivers to one URL. `offer` never waits, whatever becomes of the delivery.

    A task runs only while something waits or the connection is open; with a spool, as long as the drain lives.
    """

    def __init__(
        self,
        binding: Binding,
        settings: DrainSettings,
        ended: Callable[[Drain], None] = lambda _: None,
        taken: Container[Path] = (),
    ) -> None:
        """Take a binding that has been validated; `ended` is called once it is closed and its task is over.

        No spool is in a directory that is `taken`.
        """
        self.binding = binding
        self.url = parse_drain_url(binding.url)
        self.shown_url = redacted(binding.url)
        self.told = 0
        self.finished = trio.Event()
        """Set once it is closed and its task is over."""

        self._offered = self._skipped = self._rate_limited = self._accepted = self._closed = 0
        self._settings = settings
        self._ended = ended
        self._sieve = Sieve(self.url, trio.current_time())
        self._shaping = Shaping.of(self.url.options, most=settings.capacity, most_bytes=settings.capacity_bytes)
        self._queue = _queue_for(self.url, binding, settings, taken)
        self._delivery = Delivery(self.url, binding, settings, self._queue)
        self._arrivals = Arrivals()
        self._made_at = trio.current_time()
        self._running = self._tending = self._closing = False
        self._scope, self._tending_scope = trio.CancelScope(), trio.CancelScope()
        self._deadline = math.inf
        if self.has_spool:
            self._start()

    def offer(self, batch: bytes, count: int, kinds: int) -> None:
        """Take what of a batch this drain wants, for as long as there is room; the oldest make room."""
        now = trio.current_time()
        batch, wanted, taken = self._sieve.sift(batch, count, kinds, now)
        self._offered += count
        self._skipped += count - wanted
        self._rate_limited += wanted - taken
        if not taken:
            return
        self._accepted += taken
        if self._shaping is None:
            self._put(batch, taken)
        else:
            self._shape(self._shaping, batch, taken, now)
        self._arrivals.put(self._accepted, now)
        self._arrivals.forget(self._accepted - self.held)

    def close(self, grace_s: float, *, keep: bool = False) -> None:
        """Deliver what waits, for `grace_s` at most, and take no more; `finished` says when that is done.

        With `keep`, what is on disk by then stays there for the next drain of this URL; else it is lost.
        """
        self._closing = True
        self._tending_scope.cancel()
        if self._shaping is not None:
            self._put(*self._shaping.turn(b"", 0, math.inf))
        self._queue.close(keep=keep)
        self._scope.deadline = self._deadline = min(self._deadline, trio.current_time() + grace_s)
        if not self._running and not self.finished.is_set():
            self._end()

    def hand_over(self, grace_s: float) -> None:
        """Let the next drain have the spool, if there is one, in `grace_s` at most. It has been closed."""
        if isinstance(self._queue, SpoolQueue) and not self.finished.is_set():
            self._queue.hand_over()
            self.close(grace_s, keep=True)

    @property
    def state(self) -> State:
        """What it is doing."""
        return "closed" if self.finished.is_set() else self._delivery.state

    @property
    def has_spool(self) -> bool:
        """Whether what it cannot deliver goes to disk."""
        return isinstance(self._queue, SpoolQueue)

    @property
    def spool(self) -> Path | None:
        """The directory of its spool, if it has one."""
        return self._queue.directory if isinstance(self._queue, SpoolQueue) else None

    @property
    def last_error(self) -> str:
        """Why it cannot be reached; empty when it can."""
        return self._delivery.last_error

    @property
    def sent(self) -> int:
        """Envelopes that were delivered."""
        return self._delivery.counts.sent

    @property
    def retried(self) -> int:
        """Tries after a first one."""
        return self._delivery.counts.retried

    @property
    def skipped(self) -> int:
        """Envelopes that it does not ask for, or that have no form as a message."""
        return self._skipped + self._delivery.counts.skipped + self._delivery.counts.malformed

    @property
    def held(self) -> int:
        """Envelopes that wait, those in hand included."""
        return self._queue.held + (self._shaping.held if self._shaping is not None else 0)

    @property
    def on_disk(self) -> int:
        """Those of them that are in its spool."""
        return self._queue.on_disk

    @property
    def accepted(self) -> int:
        """Envelopes that it wanted and was allowed, of all it was offered."""
        return self._accepted

    @property
    def unsafe(self) -> int:
        """Those of them that a kill takes though the drain has a spool: they are still to go there.

        They are the last of the accepted ones, but for what is put in order or joined first.
        """
        if not isinstance(self._queue, SpoolQueue):
            return 0
        return self._queue.unsafe + (self._shaping.held if self._shaping is not None else 0)

    @property
    def lost(self) -> int:
        """Envelopes that should have been sent and were not."""
        return self.account("").dropped_total

    @property
    def untold(self) -> int:
        """Envelopes that were lost on the way since their owner was told last."""
        return sum(self._queue.dropped.values()) + self._delivery.counts.exhausted - self.told

    def lag_s(self, now: float) -> float:
        """Say how long the oldest envelope that waits has waited, in this process."""
        self._arrivals.forget(self._accepted - self.held)
        if self.held > self._accepted:  # found on disk
            return now - self._made_at
        return self._arrivals.oldest_s(now) if self.held else 0.0

    def account(self, name: str, kind: Literal["sink", "part"] = SINK) -> Account:
        """Show its books; what was found on disk at the start counts as received."""
        counts, queue = self._delivery.counts, self._queue
        return Account(
            account=name,
            kind=kind,
            received=self._offered + queue.recovered,
            delivered=counts.sent,
            dropped={
                **queue.dropped,
                "retries_exhausted": counts.exhausted,
                "rate_limited": self._rate_limited,
                "closed": self._closed,
            },
            skipped=self.skipped,
            held=self.held - queue.hand.count,
            in_flight=queue.hand.count,
            on_disk=queue.on_disk,
        )

    def part(self, name: str) -> Account:
        """Show its books beside those of all drains, which they are a part of."""
        return self.account(name, PART)

    def _put(self, batch: bytes, count: int) -> None:
        if count:
            self._queue.put(batch, count)
            self._start()

    def _start(self) -> None:
        if not self._running:
            self._running = True
            self._settings.spawn(self._run)

    async def _run(self) -> None:
        self._scope = trio.CancelScope(deadline=self._deadline)
        try:
            with self._scope:
                await self._queue.serve(self._delivery.deliver)
        finally:
            self._running = False
            if self._closing:
                self._end()

    def _shape(self, shaping: Shaping, batch: bytes, count: int, now: float) -> None:
        """Put in order and join what came, and see that what is held for that goes at its time."""
        self._put(*shaping.turn(batch, count, now))
        if shaping.held and not self._tending:
            self._tending = True
            self._settings.spawn(partial(self._tend, shaping))

    async def _tend(self, shaping: Shaping) -> None:
        with trio.CancelScope() as self._tending_scope:
            while shaping.held:
                await trio.sleep_until(shaping.due_at)
                self._put(*shaping.turn(b"", 0, trio.current_time()))
        self._tending = False

    def _end(self) -> None:
        """Count what did not leave in time, and say that this is over."""
        self._closed += self._queue.abandon()
        self.finished.set()
        self._ended(self)


def _queue_for(url: DrainUrl, binding: Binding, settings: DrainSettings, taken: Container[Path]) -> Queue:
    """Have a spool if the drain asks for one and there can be one; its owner is told when there cannot."""
    wanted = url.options.spool_bytes
    together = settings.batches if url.scheme == "https-batch" else AT_ONCE
    if wanted and settings.spool_dir:
        place = SpoolPlace.of(binding, settings.spool_dir, min(wanted, settings.spool_max_bytes), taken)
        return SpoolQueue(place, settings.capacity, settings.capacity_bytes, together)
    if wanted:
        shown = redacted(binding.url)
        log.warning("drain_without_spool", url=shown, source_id=binding.source_id, reason="spool_dir is not set")
        if not binding.is_aggregate:
            settings.warn(binding.source_id, spoolless_text(shown))
    return MemoryQueue(settings.capacity, settings.capacity_bytes, together)
