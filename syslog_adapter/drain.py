"""One drain at work: what waits for it, its connection, and what becomes of each envelope.

In:    envelopes of its source, or of everybody. A task runs only while something waits or the connection is open.
Out:   messages, through a writer.
Drops: `overflow`: the oldest, when more wait than there is room for. `retries_exhausted`: what failed too often.
       `rate_limited`: what is beyond the drain's `rate-limit`. `closed`: what waited when the drain went.
       What the drain does not ask for, and what has no form as a message, is skipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import structlog
import trio

from envelope import kernel
from plumbing.diode import Diode, Parcel
from plumbing.ledger import Account
from syslog_adapter.arrivals import Arrivals
from syslog_adapter.binding import Binding
from syslog_adapter.cutting import cut
from syslog_adapter.drain_url import parse_drain_url, redacted
from syslog_adapter.notices import unreachable_text
from syslog_adapter.options import DrainSettings
from syslog_adapter.patterns import Patterns
from syslog_adapter.rate import Allowance
from syslog_adapter.writers import DrainUnavailable, Writer, Written

log = structlog.get_logger(__name__)

State: TypeAlias = Literal["idle", "connecting", "connected", "retrying", "closed"]

_AT_ONCE_BYTES = 128 << 10
_SHOWN = 200  # characters of an error


@dataclass(slots=True)
class DrainCounts:
    """What became of the envelopes of a drain, besides those that its diode holds or has dropped."""

    offered: int = 0
    sent: int = 0
    skipped: int = 0
    malformed: int = 0
    exhausted: int = 0
    rate_limited: int = 0
    closed: int = 0
    retried: int = 0
    """Tries after the first one: no part of the balance."""


class Drain:
    """Delivers to one URL. `offer` never waits, whatever becomes of the delivery."""

    def __init__(
        self, binding: Binding, settings: DrainSettings, ended: Callable[[Drain], None] = lambda _: None
    ) -> None:
        """Take a binding that has been validated; `ended` is called once it is closed and its task is over."""
        self.binding = binding
        self.url = parse_drain_url(binding.url)
        self.shown_url = redacted(binding.url)
        self.counts = DrainCounts()
        self.state: State = "idle"
        self.last_error = ""
        self.told = 0
        self.finished = trio.Event()
        """Set once it is closed and its task is over."""

        options = self.url.options
        self._settings = settings
        self._ended = ended
        self._patterns = Patterns.of(options.include, options.exclude)
        self._allowance: Allowance | None = None
        if math.isfinite(options.rate_limit):
            self._allowance = Allowance(options.rate_limit, trio.current_time())
        self._diode = Diode(settings.capacity, settings.capacity_bytes)
        self._arrivals = Arrivals()
        self._hand, self._in_hand = b"", 0
        self._waits: Iterator[float] | None = None
        self._failing = False
        self._running = False
        self._closing = False
        self._news = trio.Event()
        self._scope = trio.CancelScope()
        self._deadline = math.inf

    def offer(self, batch: bytes, count: int, kinds: int) -> None:
        """Take what of a batch this drain wants, for as long as there is room; the oldest make room."""
        counts = self.counts
        counts.offered += count
        wanted = count
        if kinds & ~self.url.kinds:
            batch, wanted = kernel.select(batch, self.url.kinds)
        if self._patterns and wanted:
            batch, wanted = self._patterns.sift(batch)
        counts.skipped += count - wanted
        if self._allowance and wanted:
            allowed = self._allowance.take(wanted, trio.current_time())
            counts.rate_limited += wanted - allowed
            batch, wanted = cut(batch, allowed)[0] if allowed < wanted else batch, allowed
        if not wanted:
            return
        self._diode.put(Parcel(batch, wanted))
        self._arrivals.put(self._diode.put_total, trio.current_time())
        self._arrivals.forget(self._settled)
        self._news.set()
        if not self._running:
            self._running = True
            self._settings.spawn(self._run)

    def close(self, grace_s: float) -> None:
        """Deliver what waits, for `grace_s` at most, and take no more; `finished` says when that is done."""
        self._closing = True
        self._news.set()
        self._scope.deadline = self._deadline = min(self._deadline, trio.current_time() + grace_s)
        if not self._running and not self.finished.is_set():
            self._end()

    @property
    def overflowed(self) -> int:
        """Envelopes for which there was no room."""
        return self._diode.dropped_total

    @property
    def held(self) -> int:
        """Envelopes that wait, those in hand included."""
        return self._diode.held + self._in_hand

    @property
    def lost(self) -> int:
        """Envelopes that should have been sent and were not."""
        counts = self.counts
        return self.overflowed + counts.exhausted + counts.closed + counts.rate_limited

    @property
    def untold(self) -> int:
        """Envelopes that were lost on the way since their owner was told last."""
        return self.overflowed + self.counts.exhausted - self.told

    def lag_s(self, now: float) -> float:
        """Say how long the oldest envelope that waits has waited."""
        self._arrivals.forget(self._settled)
        return self._arrivals.oldest_s(now) if self.held else 0.0

    def account(self, name: str) -> Account:
        """Show its books."""
        counts = self.counts
        return Account(
            account=name,
            kind="store",
            received=counts.offered,
            delivered=counts.sent,
            dropped={
                "overflow": self.overflowed,
                "retries_exhausted": counts.exhausted,
                "rate_limited": counts.rate_limited,
                "closed": counts.closed,
            },
            skipped=counts.skipped + counts.malformed,
            held=self._diode.held,
            in_flight=self._in_hand,
        )

    @property
    def _settled(self) -> int:
        return self._diode.put_total - self.held

    async def _run(self) -> None:
        self._scope = trio.CancelScope(deadline=self._deadline)
        try:
            with self._scope:
                while self._take():
                    await self._deliver()
        finally:
            self._running = False
            self.state = "idle"
            if self._closing:
                self._end()

    def _end(self) -> None:
        """Count what did not leave in time, and say that this is over."""
        left = self._diode.take(self._diode.held_bytes)
        self.counts.closed += sum(parcel.envelopes for parcel in left) + self._in_hand
        self._hand, self._in_hand = b"", 0
        self.state = "closed"
        self.finished.set()
        self._ended(self)

    async def _deliver(self) -> None:
        """Open the way to the drain, and send until nothing comes any more."""
        if not self._failing:
            self.state = "connecting"
        try:
            async with self._settings.open_writer(self.url, self.binding) as writer:
                await self._converse(writer)
        except Exception as error:  # one drain must not end the others
            log.exception("drain_failed", url=self.shown_url, source_id=self.binding.source_id)
            await self._back_off(DrainUnavailable(type(error).__name__))

    async def _converse(self, writer: Writer) -> None:
        while self._take() or await self._more():
            try:
                self._written(await writer.write(self._hand))
            except DrainUnavailable as failure:
                await self._back_off(failure)

    def _take(self) -> bool:
        """Have something in hand, if anything waits."""
        if not self._in_hand and self._diode:
            parcels = self._diode.take(_AT_ONCE_BYTES)
            self._hand = parcels[0].batch if len(parcels) == 1 else b"".join([parcel.batch for parcel in parcels])
            self._in_hand = sum(parcel.envelopes for parcel in parcels)
        return bool(self._in_hand)

    async def _more(self) -> bool:
        """Wait until there is something in hand; false when nothing came for long, or the drain is closing."""
        self._news = trio.Event()
        if not self._closing:
            with trio.move_on_after(self._settings.idle_s):
                await self._news.wait()
        return self._take()

    def _written(self, written: Written) -> None:
        """Settle what is in hand."""
        self._settle(self._in_hand, written)
        self._recovered()

    def _settle(self, count: int, written: Written) -> None:
        """Count the first `count` in hand, and let go of them."""
        counts = self.counts
        counts.skipped += written.skipped
        counts.malformed += written.malformed
        counts.sent += count - written.skipped - written.malformed
        self._hand = b"" if count == self._in_hand else cut(self._hand, count)[1]
        self._in_hand -= count

    def _recovered(self) -> None:
        if self._failing:
            log.info("drain_recovered", url=self.shown_url, source_id=self.binding.source_id)
        self.state = "connected"
        self._waits, self._failing, self.last_error = None, False, ""

    async def _back_off(self, failure: DrainUnavailable) -> None:
        """Wait before the next try; after the last one the first message is lost, and its followers have their turn."""
        self._settle_partly(failure)
        self._note(failure)
        if self._waits is None:
            self._waits = self._settings.waits()
        wait_s = next(self._waits, None)
        if wait_s is None:
            self._waits = None
            self._give_up()
            return
        self.counts.retried += 1
        await trio.sleep(wait_s)

    def _settle_partly(self, failure: DrainUnavailable) -> None:
        """Settle those that it took before it failed: then the tries begin anew for the others."""
        if failure.done:
            self._settle(min(failure.done, self._in_hand), failure.written)
            self._waits = None

    def _note(self, failure: DrainUnavailable) -> None:
        self.last_error = str(failure)[:_SHOWN]
        self.state = "retrying"
        if self._failing:
            return
        self._failing = True
        log.warning("drain_unavailable", url=self.shown_url, source_id=self.binding.source_id, error=self.last_error)
        if not self.binding.is_aggregate:
            self._settings.warn(self.binding.source_id, unreachable_text(self.shown_url))

    def _give_up(self) -> None:
        """Lose the first message, or with `https-batch` all that would go together, as the original does."""
        lost = self._in_hand if self.url.scheme == "https-batch" else min(1, self._in_hand)
        self.counts.exhausted += lost
        self._hand, self._in_hand = cut(self._hand, lost)[1], self._in_hand - lost
