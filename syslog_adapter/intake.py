"""What comes in from the Dopplers, on its way from the island to the drains.

In:    batches of every Doppler, one subscription shared by all adapters. They cross to trio with one wake-up for all
       that wait; what waits there is bounded by the windows of the streams, 2 MiB each.
Out:   `dispatch(batch, count, kinds)`. An arrival is confirmed once the drains have it.
Drops: what is no envelope, and what no drain asks for, is skipped and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import structlog

from envelope import kernel
from envelope.errors import DecodeError
from envelope.kinds import Kind
from envelope.selectors import make_request
from plumbing.egress_client import Dopplers, Feed
from plumbing.island import Island
from plumbing.ledger import Account

log = structlog.get_logger(__name__)


class Incoming(Protocol):
    """One message of a Doppler."""

    batch: bytes

    @property
    def is_kept(self) -> bool:
        """Whether its Doppler keeps it until it is confirmed."""

    def confirm(self) -> None:
        """Let the Doppler forget it."""


class Dispatch(Protocol):
    """Whatever hands batches to drains."""

    def dispatch(self, batch: bytes, count: int, kinds: int) -> int:
        """Hand over an admitted batch; returns how many envelopes concern nobody."""


@dataclass(slots=True)
class IntakeCounts:
    """What came in, in envelopes."""

    fed: int = 0
    fed_by_strangers: int = 0
    malformed: int = 0
    undrained: int = 0
    """Those that no drain asks for."""


class _Admitted(NamedTuple):
    arrival: Incoming
    batch: bytes
    size: int
    kinds: int
    malformed: int


class Intake:
    """Reads the Dopplers on the island, and counts and dispatches on the trio thread."""

    def __init__(self, island: Island, dispatcher: Dispatch) -> None:
        self.counts = IntakeCounts()
        self._island = island
        self._dispatcher = dispatcher
        self._waiting: deque[_Admitted] = deque()
        self._woken = False
        self._feeding: asyncio.Task[None] | None = None

    def subscribe(self, dopplers: Dopplers, shard_id: str) -> None:
        """Read everything from every Doppler, until `unsubscribe`. On the island."""
        feed = Feed(dopplers, make_request(Kind.TYPED, shard_id=shard_id), self.relay)
        self._feeding = asyncio.ensure_future(feed.run())
        self._feeding.add_done_callback(_complain)

    async def unsubscribe(self) -> None:
        """Read no more, and let the Dopplers know what arrived; what comes now stays with them. On the island."""
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait([self._feeding])

    async def relay(self, arrival: Incoming) -> None:
        """Check a message and see that it crosses over. On the island."""
        try:
            batch, count, kinds, malformed = kernel.admit(arrival.batch)
        except DecodeError:
            batch, count, kinds, malformed = b"", 0, 0, 1
        if malformed:
            log.warning("malformed_envelopes_skipped", count=malformed, size=len(arrival.batch))
        self._waiting.append(_Admitted(arrival, batch, count, kinds, malformed))
        if not self._woken:
            self._woken = True
            self._island.to_trio(self._deal)

    def account(self) -> Account:
        """Show the books of the subscription: what any drain asked for was delivered, the rest skipped."""
        counts = self.counts
        skipped = counts.malformed + counts.undrained
        return Account(
            account="dopplers",
            kind="reader",
            received=counts.fed,
            delivered=counts.fed - skipped,
            skipped=skipped,
            outside=counts.fed_by_strangers,
        )

    def _deal(self) -> None:
        """Dispatch all that waits, then have it confirmed. On the trio thread."""
        self._woken = False
        counts, dealt = self.counts, []
        while self._waiting:
            arrival, batch, count, kinds, malformed = self._waiting.popleft()
            counts.fed += count + malformed
            counts.malformed += malformed
            counts.fed_by_strangers += 0 if arrival.is_kept else count + malformed
            counts.undrained += self._dispatcher.dispatch(batch, count, kinds) if count else 0
            dealt.append(arrival)
        self._island.post(_confirm, dealt)


def _confirm(arrivals: Iterable[Incoming]) -> None:
    for arrival in arrivals:
        arrival.confirm()


def _complain(feeding: asyncio.Task[None]) -> None:
    if not feeding.cancelled() and feeding.exception() is not None:
        log.error("feed_failed", exc_info=feeding.exception())
