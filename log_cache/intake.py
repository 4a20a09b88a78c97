"""What comes in, by whichever door, on its way into the cache or to the node that it belongs to. Lives on the island.

In:    batches of every Doppler, one subscription shared by the nodes; batches of whoever calls `Send`.
Out:   `put(batch, count)` of the cache, or the cluster's forwarding.
Drops: what is no envelope, counted as malformed. An arrival is confirmed once it is in the cache, or with the cluster.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from envelope import kernel
from envelope.errors import DecodeError
from log_cache.pieces import pieces
from plumbing.ledger import Account
from plumbing.subscription import Checked, FedCounts, Subscription

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
class IntakeCounts(FedCounts):
    """What came in, in envelopes."""

    sent: int = 0
    """By `Send`, whether they were any good or not."""
    sent_malformed: int = 0
    stored: int = 0
    """Into this node's own cache."""


class Intake:
    """Takes batches from outside, checks them, and puts each envelope where it belongs."""

    def __init__(self, shelf: Shelf, forwarder: Forwarder | None = None) -> None:
        self.counts = IntakeCounts()
        self.subscription = Subscription(self.take_fed)
        self._shelf = shelf
        self._forwarder = forwarder

    async def take(self, message: bytes, *, local_only: bool) -> None:
        """Take a batch that a client sent; `local_only` when another node knows that it is ours.

        What is much is taken in several steps, so that the island goes on meanwhile: when this is cancelled, what was
        not taken yet has not come in at all. Raises `DecodeError`, and takes nothing, where it cannot be told one
        envelope from the next.
        """
        batch, count = self._admitted(message)
        if len(batch) <= _AT_ONCE_BYTES:
            self._keep_sent(batch, count, local_only=local_only)
            return
        for piece, size in pieces(batch, _AT_ONCE_BYTES, _AT_ONCE_ENVELOPES):
            self._keep_sent(piece, size, local_only=local_only)
            await asyncio.sleep(0)

    async def take_fed(self, checked: Checked) -> None:
        """Take a batch that came from a Doppler, which may forget it then."""
        self.counts.note(checked)
        self._keep(checked.batch, checked.count, local_only=False)
        checked.arrival.confirm()

    def account(self) -> Account:
        """Show the books of the subscription."""
        return self.counts.account()

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

    def _keep_sent(self, batch: bytes, count: int, *, local_only: bool) -> None:
        self.counts.sent += count
        self._keep(batch, count, local_only=local_only)

    def _keep(self, batch: bytes, count: int, *, local_only: bool) -> None:
        if self._forwarder is not None and not local_only:
            batch, count = self._forwarder.forward(batch, count)
        if count:
            self.counts.stored += count
            self._shelf.put(batch, count)
