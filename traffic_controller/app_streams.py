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
from dataclasses import dataclass, field
from typing import ClassVar

import structlog

from envelope import kernel
from envelope.errors import DecodeError
from envelope.kinds import Kind
from plumbing.acks import PROMPT
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
        self.outside = 0
        self._make_diode = make_diode
        self._tails: dict[bytes, list[Tail]] = {}
        self._feed = SourcesFeed(dopplers, KINDS, self._hand_out)
        self._feeding: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

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

    async def close(self) -> None:
        """Read nothing more, and wait until every Doppler has heard what was handed out."""
        self._stop_feeding()
        if self._leaving:
            await asyncio.wait(self._leaving)

    def account(self) -> Account:
        """Show the books of the feed: what the Dopplers gave, and whether there was still a tail for it."""
        return Account(
            account="app streams",
            kind="reader",
            received=self.received,
            delivered=self.delivered,
            skipped=self.skipped,
            outside=self.outside,
        )

    def _ask(self) -> None:
        """Read what is tailed now: no app, no feed."""
        self._feed.ask_for(app.decode() for app in self._tails)
        if self._tails and self._feeding is None:
            self._feeding = asyncio.ensure_future(self._feed.run())
            self._feeding.add_done_callback(self._feed_ended)
        elif not self._tails:
            self._stop_feeding()

    def _stop_feeding(self) -> None:
        if self._feeding is not None:
            self._leaving.add(self._feeding)
            self._feeding.cancel()
            self._feeding = None

    def _feed_ended(self, feeding: asyncio.Task[None]) -> None:
        """End every tail with a feed that ended by itself: clients come back, and what waits for ever helps nobody."""
        self._leaving.discard(feeding)
        if feeding is not self._feeding:
            return
        self._feeding = None
        log.error("app_streams_feed_failed", exc_info=None if feeding.cancelled() else feeding.exception())
        for tails in self._tails.values():
            for tail in tails:
                tail.diode.close()

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
        self.outside += 0 if arrival.is_kept else count
        arrival.confirm()


@dataclass(frozen=True, slots=True)
class Tailed:
    """Envelopes of one app, as `Reader` wants them. The Dopplers have their confirmation already."""

    batch: bytes
    _tail: Tail = field(repr=False)
    is_kept: ClassVar[bool] = False

    def confirm(self) -> None:
        """Make room for more in the tail's window."""
        self._tail.read(self.batch)


class Tail:
    """What one client is owed of one app; takes the place of a `plumbing.egress_client.Feed`."""

    def __init__(
        self, streams: AppStreams, app: str, relay: Callable[[Tailed], Awaitable[None]], diode: SharedDiode
    ) -> None:
        self.app = app
        self.diode = diode
        self._streams = streams
        self._relay = relay
        self._unread_bytes = 0
        self._room = asyncio.Event()

    @property
    def blocked(self) -> bool:
        """Whether envelopes wait for the client."""
        return bool(self.diode)

    def read(self, batch: bytes) -> None:
        """The client has read a batch."""
        self._unread_bytes -= len(batch)
        self._room.set()

    async def run(self) -> None:
        """Relay what the app sends, a window at most ahead of what was read, until cancelled or the feed has failed."""
        with self._streams.tailed_by(self):
            while parcels := await self.diode.next(_PARCEL_BYTES):
                tailed = Tailed(b"".join([parcel.batch for parcel in parcels]), self)
                self._unread_bytes += len(tailed.batch)
                await self._relay(tailed)
                while self._unread_bytes > PROMPT.window_bytes:
                    self._room.clear()
                    await self._room.wait()
