"""What comes from the Dopplers, on its way to the batcher. Lives on the island.

In:    batches of every Doppler, one subscription.
Out:   what filter and transforms leave of each, into the crossing to trio; nothing is confirmed here.
Drops: what is no envelope, counted as malformed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import structlog

from envelope import kernel
from envelope.errors import DecodeError
from nozzles.runner.batcher import Piece
from plumbing.egress_client import Arrival, Dopplers, Feed
from plumbing.ledger import Account

log = structlog.get_logger(__name__)

Step: TypeAlias = Callable[[bytes, int], tuple[bytes, int]]
"""Takes an admitted batch and its count, returns what it leaves of it."""


class Over(Protocol):
    """Where pieces go: `nozzles.runner.crossing.Crossing`."""

    async def room(self) -> None:
        """Wait until there is room for one more."""

    def put(self, item: Piece) -> None:
        """Send it over."""


class Recognises(Protocol):
    """Whatever knows envelopes again: `nozzles.runner.recognise.Memory`."""

    def new_part(self, batch: bytes, count: int) -> tuple[bytes, int, bytes]:
        """Return what of an admitted batch did not come before, how many that is, and the marks of those."""


@dataclass(slots=True)
class IntakeCounts:
    """What came in, in envelopes."""

    fed: int = 0
    """From the Dopplers, whether they were any good or not."""
    fed_by_strangers: int = 0
    """Those of them that came from Dopplers that keep no books."""
    malformed: int = 0
    filtered: int = 0
    """Not wanted, by the filter or by a transform."""
    repeated: int = 0
    """Had come before, and were safe already."""

    @property
    def passed(self) -> int:
        """Envelopes that went on."""
        return self.fed - self.malformed - self.filtered - self.repeated


class Intake:
    """Takes batches in, checks them, and sends over what the nozzle is for."""

    def __init__(self, over: Over, steps: list[Step], memory: Recognises | None = None) -> None:
        self.counts = IntakeCounts()
        self._over = over
        self._steps = steps
        self._memory = memory
        self._closed = False
        self._feeding: asyncio.Task[None] | None = None

    def subscribe(self, dopplers: Dopplers, request: bytes) -> None:
        """Read from every Doppler, until `unsubscribe`."""
        self._feeding = asyncio.ensure_future(Feed(dopplers, request, self._relay).run())
        self._feeding.add_done_callback(_complain)

    def close(self) -> None:
        """Take nothing more in: what comes now stays with its Doppler. What came before can still be confirmed."""
        self._closed = True

    async def unsubscribe(self) -> None:
        """Read no more, and let the Dopplers know what was confirmed."""
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait([self._feeding])

    def account(self) -> Account:
        """Show the books of the subscription."""
        counts = self.counts
        return Account(
            account="dopplers",
            kind="reader",
            received=counts.fed,
            delivered=counts.passed,
            skipped=counts.malformed + counts.filtered + counts.repeated,
            outside=counts.fed_by_strangers,
        )

    async def _relay(self, arrival: Arrival) -> None:
        await self._over.room()
        if not self._closed:
            self._over.put(self._piece(arrival))

    def _piece(self, arrival: Arrival) -> Piece:
        counts, mark = self.counts, b""
        try:
            batch, count, _, malformed = kernel.admit(arrival.batch)
        except DecodeError:
            batch, count, malformed = b"", 0, 1
        if malformed:
            log.warning("malformed_envelopes_skipped", count=malformed, size=len(arrival.batch))
        counts.fed += count + malformed
        counts.fed_by_strangers += 0 if arrival.is_kept else count + malformed
        counts.malformed += malformed
        if self._memory:
            came = count
            batch, count, mark = self._memory.new_part(batch, count)
            counts.repeated += came - count
        admitted = count
        for step in self._steps:
            if count:
                batch, count = step(batch, count)
        counts.filtered += admitted - count
        return Piece(batch, count, arrival, mark)


def _complain(feeding: asyncio.Task[None]) -> None:
    if not feeding.cancelled() and feeding.exception() is not None:
        log.error("feed_failed", exc_info=feeding.exception())
