"""What comes in, by whichever door, on its way into the cache or to the node that it belongs to. Lives on the island.

In:    batches of every Doppler, one subscription shared by the nodes; batches of whoever calls `Send`.
Out:   `put(batch, count)` of the cache, or the cluster's forwarding.
Drops: what is no envelope, counted as malformed. An arrival is confirmed once it is in the cache, or with the cluster.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog

from envelope import kernel
from envelope.errors import DecodeError
from envelope.kinds import Kind
from envelope.selectors import make_request
from log_cache.pieces import pieces
from plumbing.egress_client import Arrival, Dopplers, Feed
from plumbing.ledger import Account

log = structlog.get_logger(__name__)

_AT_ONCE_BYTES = 1 << 20
_AT_ONCE_ENVELOPES = 2048
"""As much as is put into the cache in one step, which takes 10 ms if each is of a source of its own."""


class Shelf(Protocol):
    """Whatever takes envelopes in for good."""

    def put(self, batch: bytes, count: int) -> None:
        """Take an admitted batch."""


class Forwarder(Protocol):
    """Whatever knows which envelopes belong to other nodes."""

    def forward(self, batch: bytes, count: int) -> tuple[bytes, int]:
        """Keep what is theirs for them, and return what is ours."""


@dataclass(slots=True)
class IntakeCounts:
    """What came in, in envelopes."""

    fed: int = 0
    """From the Dopplers, whether they were any good or not."""
    fed_by_strangers: int = 0
    """Those of them that came from Dopplers that keep no books."""
    fed_malformed: int = 0
    sent: int = 0
    """By `Send`, whether they were any good or not."""
    sent_malformed: int = 0
    stored: int = 0
    """Into this node's own cache."""

    @property
    def good(self) -> int:
        """Envelopes that were any good."""
        return self.fed + self.sent - self.fed_malformed - self.sent_malformed


class Intake:
    """Takes batches from outside, checks them, and puts each envelope where it belongs."""

    def __init__(self, shelf: Shelf, forwarder: Forwarder | None = None) -> None:
        self.counts = IntakeCounts()
        self._shelf = shelf
        self._forwarder = forwarder
        self._feeding: asyncio.Task[None] | None = None

    def take(self, message: bytes, *, local_only: bool) -> None:
        """Take a batch that a client sent; `local_only` when another node knows that it is ours.

        Raises `DecodeError`, and takes nothing, where it cannot be told one envelope from the next.
        """
        batch, count = self._admitted(message)
        self.counts.sent += count
        self._keep(batch, count, local_only=local_only)

    async def take_gently(self, message: bytes, *, local_only: bool) -> None:
        """Do what `take` does in several steps, if it is much, so that the island goes on meanwhile.

        When this is cancelled, what was not taken yet has not come in at all.
        """
        if len(message) <= _AT_ONCE_BYTES:
            self.take(message, local_only=local_only)
            return
        batch, _ = self._admitted(message)
        for piece, count in pieces(batch, _AT_ONCE_BYTES, _AT_ONCE_ENVELOPES):
            self.counts.sent += count
            self._keep(piece, count, local_only=local_only)
            await asyncio.sleep(0)

    def subscribe(self, dopplers: Dopplers, shard_id: str) -> None:
        """Read everything from every Doppler, until `unsubscribe`."""
        feed = Feed(dopplers, make_request(Kind.TYPED, shard_id=shard_id), self._relay)
        self._feeding = asyncio.ensure_future(feed.run())
        self._feeding.add_done_callback(_complain)

    async def unsubscribe(self) -> None:
        """Read no more, and let the Dopplers know what arrived; what comes now stays with them."""
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
            delivered=counts.fed - counts.fed_malformed,
            skipped=counts.fed_malformed,
            outside=counts.fed_by_strangers,
        )

    async def _relay(self, arrival: Arrival) -> None:
        counts = self.counts
        try:
            batch, count, _, malformed = kernel.admit(arrival.batch)
        except DecodeError:
            batch, count, malformed = b"", 0, 1
        counts.fed += count + malformed
        counts.fed_malformed += malformed
        counts.fed_by_strangers += 0 if arrival.is_kept else count + malformed
        if malformed:
            log.warning("malformed_envelopes_skipped", count=malformed, size=len(arrival.batch))
        self._keep(batch, count, local_only=False)
        arrival.confirm()

    def _admitted(self, message: bytes) -> tuple[bytes, int]:
        """Check what was sent, and count what of it is no envelope."""
        try:
            batch, count, _, malformed = kernel.admit(message)
        except DecodeError:
            self.counts.sent += 1
            self.counts.sent_malformed += 1
            raise
        self.counts.sent += malformed
        self.counts.sent_malformed += malformed
        return batch, count

    def _keep(self, batch: bytes, count: int, *, local_only: bool) -> None:
        if self._forwarder is not None and not local_only:
            batch, count = self._forwarder.forward(batch, count)
        if count:
            self.counts.stored += count
            self._shelf.put(batch, count)


def _complain(feeding: asyncio.Task[None]) -> None:
    if not feeding.cancelled() and feeding.exception() is not None:
        log.error("feed_failed", exc_info=feeding.exception())
