"""One subscriber's request, open at every Doppler. Lives on the island.

In:    batches of every Doppler; each is confirmed when the subscriber has it.
Out:   parcels with their tags in the form asked for, in the order they came in.
Drops: nothing that a Doppler of ours sent: what does not arrive stays with it. `unread`: what was not delivered of an
       original Doppler, which keeps nothing, when the subscriber left.

A slow subscriber makes us hold, for each Doppler, no more than a window and one message (`plumbing.acks.PROMPT`, and
the most that the Doppler's client receives); then the Doppler holds, drops and tells.

Hot path: each batch is checked and converged once, and otherwise passes as it came.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import structlog

from envelope import kernel
from envelope.errors import DecodeError
from envelope.pieces import pieces
from plumbing.acks import Window
from plumbing.diode import Parcel, SharedDiode
from plumbing.egress_client import Arrival, Dopplers, Feed
from plumbing.egress_server import MESSAGE_BYTES
from plumbing.ledger import Account
from reverse_log_proxy.requests import Request

log = structlog.get_logger(__name__)


class Unkept(Parcel):
    """A parcel that its Doppler has forgotten: it is lost if it does not arrive."""

    __slots__ = ()


class Reader:
    """One open stream (what `plumbing.egress_server` asks of a reader)."""

    def __init__(self, name: str, request: Request, dopplers: Dopplers, left: Callable[[Reader], None]) -> None:
        self.window = Window()
        self._name = name
        self._preferred_tags = request.preferred_tags
        self._left = left
        # Never full: the Dopplers' windows bound it.
        self._waiting = SharedDiode(sys.maxsize, sys.maxsize)
        self._feed = Feed(dopplers, request.message, self._relay)
        self._feeding: asyncio.Task[None] | None = None
        self._closing = False
        self._arrived = 0
        self._skipped = 0
        self._delivered = 0
        self._returned = 0
        self._unread = 0
        self._outside = 0

    def start(self) -> None:
        """Subscribe at every Doppler, until `leave`."""
        self._feeding = asyncio.ensure_future(self._feed.run())
        self._feeding.add_done_callback(self._no_more_comes)

    async def next(self, max_bytes: int) -> list[Parcel]:
        """Wait for parcels; an empty list is the end."""
        return await self._waiting.next(max_bytes)

    def delivered(self, envelopes: int) -> None:
        """Book what has arrived."""
        self._delivered += envelopes

    def close(self) -> None:
        """Let the subscriber take what is held and then see the end; what comes now stays with its Doppler."""
        self._closing = True
        self._waiting.close()

    def leave(self, undelivered: list[Parcel]) -> None:
        """Leave to the Dopplers what did not arrive, and be gone."""
        self._closing = True
        for parcel in undelivered + self._waiting.take(self._waiting.held_bytes):
            if isinstance(parcel, Unkept):
                self._unread += parcel.envelopes
            else:
                self._returned += parcel.envelopes
        if self._feeding is not None:
            self._feeding.cancel()
        self._left(self)

    async def gone(self) -> None:
        """Wait until every Doppler has heard what arrived; call it after `leave`."""
        if self._feeding is not None:
            await asyncio.wait([self._feeding])

    def account(self) -> Account:
        """Show the books; what stayed with the Dopplers is in theirs."""
        return Account(
            account=f"subscriber {self._name}",
            kind="reader",
            received=self._arrived - self._returned,
            delivered=self._delivered,
            dropped={"unread": self._unread},
            skipped=self._skipped,
            held=self._waiting.held,
            in_flight=self.window.in_flight,
            returned=self._returned,
            outside=self._outside,
        )

    async def _relay(self, arrival: Arrival) -> None:
        if self._closing and arrival.is_kept:
            return
        batch, count, malformed = readable(arrival.batch, self._preferred_tags)
        if malformed:
            log.warning("malformed_envelopes_skipped", count=malformed, size=len(arrival.batch))
        self._arrived += count + malformed
        self._skipped += malformed
        self._outside += 0 if arrival.is_kept else count + malformed
        if self._closing:
            self._unread += count
            return
        kind = Parcel if arrival.is_kept else Unkept
        if len(batch) > MESSAGE_BYTES:
            *parts, (batch, count) = pieces(batch, MESSAGE_BYTES)  # a client of gRPC's default takes 4 MiB
            for part, part_count in parts:
                self._waiting.put(kind(part, part_count))
        # An empty batch is passed on too: a Doppler is told how many of its messages have arrived, in their order.
        self._waiting.put(kind(batch, count, arrival.confirm))

    def _no_more_comes(self, feeding: asyncio.Task[None]) -> None:
        if not feeding.cancelled():
            log.error("feed_failed", subscriber=self._name, exc_info=feeding.exception())
        self.close()


def readable(batch: bytes, preferred_tags: bool) -> tuple[bytes, int, int]:
    """Leave each envelope one map of tags and cut out what is none: (batch, envelopes, malformed ones).

    The very same object comes back when nothing had to change. A batch that cannot be taken apart counts as one
    malformed envelope.
    """
    try:
        clean, count, _, malformed = kernel.admit(batch)
        return kernel.converge(clean, preferred_tags), count, malformed
    except DecodeError:
        return b"", 0, 1
