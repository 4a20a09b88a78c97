"""Tail single apps: all the app streams of one traffic controller share one feed. Lives on the island.

In:    batches of v2 envelopes of every app that somebody tails, over one stream from each Doppler.
Out:   to each tail, what its app sent.
Drops: the oldest of a tail whose client is slow: one client must not hold up the others. Its account says how many.

Hot path: `benchmarks/pipeline.py`, row "doppler, traffic controller, ten app streams".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import structlog

from envelope import kernel
from envelope.errors import DecodeError
from envelope.kinds import Kind
from plumbing.diode import Parcel, SharedDiode
from plumbing.egress_client import Arrival, Dopplers
from plumbing.ledger import Account
from plumbing.sources_feed import SourcesFeed

log = structlog.get_logger(__name__)

KINDS = Kind.LOG | Kind.GAUGE | Kind.TIMER
"""The kinds of v2 envelope that can turn into a v1 envelope that names an app (loggregator.md 2.6)."""

_PARCEL_BYTES = 256 << 10


class AppStreams:
    """Who tails which app."""

    def __init__(self, dopplers: Dopplers, make_diode: Callable[[], SharedDiode]) -> None:
        self.received = 0
        self.delivered = 0
        self.skipped = 0
        self._make_diode = make_diode
        self._tails: dict[bytes, list[Tail]] = {}
        self._feed = SourcesFeed(dopplers, KINDS, self._hand_out)
        self._feeding: asyncio.Task[None] | None = None

    def tail(self, app: str, relay: Callable[[Tailed], Awaitable[None]]) -> Tail:
        """Make a tail of one app; it reads nothing before it runs."""
        return Tail(self, app, relay, self._make_diode())

    @contextmanager
    def tailed_by(self, tail: Tail) -> Iterator[None]:
        """Hand the app's envelopes to `tail` for the time of the block."""
        app = tail.app.encode()
        self._tails.setdefault(app, []).append(tail)
        self._ask()
        try:
            yield
        finally:
            self._tails[app].remove(tail)
            if not self._tails[app]:
                del self._tails[app]
            self._ask()

    def account(self) -> Account:
        """Show the books of the feed: what the Dopplers gave, and whether there was still a tail for it."""
        return Account(
            account="app streams",
            kind="reader",
            received=self.received,
            delivered=self.delivered,
            skipped=self.skipped,
        )

    def _ask(self) -> None:
        """Read what is tailed now: no app, no feed."""
        self._feed.ask_for(app.decode() for app in self._tails)
        if self._tails and self._feeding is None:
            self._feeding = asyncio.ensure_future(self._feed.run())
            self._feeding.add_done_callback(_log_failure)
        elif not self._tails and self._feeding is not None:
            self._feeding.cancel()
            self._feeding = None

    async def _hand_out(self, arrival: Arrival) -> None:
        try:
            count, parts = kernel.count(arrival.batch), kernel.split(arrival.batch, self._tails)
        except DecodeError as error:
            log.warning("malformed_batch_skipped", size=len(arrival.batch), error=str(error))
            count, parts = 1, {}
        wanted = 0
        for app, (part, part_count, _) in parts.items():
            wanted += part_count
            for tail in self._tails[app]:
                tail.diode.put(Parcel(part, part_count))
        self.received += count
        self.delivered += wanted
        self.skipped += count - wanted
        arrival.confirm()


@dataclass(frozen=True, slots=True)
class Tailed:
    """Envelopes of one app, as `Reader` wants them. The Dopplers have their confirmation already."""

    batch: bytes
    is_kept: ClassVar[bool] = False

    def confirm(self) -> None:
        """Do nothing: nobody waits for it."""


class Tail:
    """What one client is owed of one app; takes the place of a `plumbing.egress_client.Feed`."""

    def __init__(
        self, streams: AppStreams, app: str, relay: Callable[[Tailed], Awaitable[None]], diode: SharedDiode
    ) -> None:
        self.app = app
        self.diode = diode
        self._streams = streams
        self._relay = relay

    @property
    def blocked(self) -> bool:
        """Whether envelopes wait for the client."""
        return bool(self.diode)

    async def run(self) -> None:
        """Relay what the app sends, until cancelled."""
        with self._streams.tailed_by(self):
            while parcels := await self.diode.next(_PARCEL_BYTES):
                await self._relay(Tailed(b"".join([parcel.batch for parcel in parcels])))


def _log_failure(feeding: asyncio.Task[None]) -> None:
    if not feeding.cancelled() and (error := feeding.exception()):
        log.error("app_streams_feed_failed", error=repr(error), exc_info=error)
