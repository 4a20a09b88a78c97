"""Read the Dopplers on behalf of a component: what every reader of a subscription does with what comes in.

In:    batches of every Doppler, of one request.
Out:   `take(checked)` for each message, on the island. Whoever takes it confirms its arrival once it is safe.
Drops: what is no envelope, counted as malformed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import structlog

from envelope import kernel
from envelope.errors import DecodeError
from plumbing.egress_client import Dopplers, Feed
from plumbing.ledger import Account

log = structlog.get_logger(__name__)


class Stream(Protocol):
    """One open stream, told from others by its identity: `plumbing.egress_client.Stream`."""

    @property
    def peer(self) -> str:
        """Who sends: the same for all its streams, one after the other."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come by it."""


class Incoming(Protocol):
    """One message from outside: `plumbing.egress_client.Arrival`."""

    @property
    def stream(self) -> Stream:
        """By which it came: what was not confirmed on one is repeated on the next of the same peer."""

    @property
    def batch(self) -> bytes:
        """What it says."""

    @property
    def is_kept(self) -> bool:
        """Whether its sender keeps it until it is confirmed."""

    def confirm(self) -> None:
        """Let the sender forget it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A message of which only envelopes are left."""

    arrival: Incoming
    batch: bytes
    count: int
    kinds: int
    malformed: int = 0
    """What was no envelope."""


Take: TypeAlias = Callable[[Checked], Awaitable[None]]


def check(arrival: Incoming) -> Checked:
    """Admit a message; one in which envelopes cannot be told apart is a single malformed one."""
    try:
        checked = Checked(arrival, *kernel.admit(arrival.batch))
    except DecodeError:
        checked = Checked(arrival, b"", 0, 0, malformed=1)
    if checked.malformed:
        log.warning("malformed_envelopes_skipped", count=checked.malformed, size=len(arrival.batch))
    return checked


@dataclass(slots=True)
class FedCounts:
    """What a subscription brought, in envelopes."""

    fed: int = 0
    """Whether they were any good or not."""
    fed_by_strangers: int = 0
    """Those of them that came from peers that keep no books."""
    fed_malformed: int = 0

    def note(self, checked: Checked) -> None:
        """Count one message."""
        size = checked.count + checked.malformed
        self.fed += size
        self.fed_malformed += checked.malformed
        if not checked.arrival.is_kept:
            self.fed_by_strangers += size

    def account(self, unwanted: int = 0, *, name: str = "dopplers") -> Account:
        """Show the books of the subscription; `unwanted` are those that the reader had no use for."""
        skipped = self.fed_malformed + unwanted
        return Account(
            account=name,
            kind="reader",
            received=self.fed,
            delivered=self.fed - skipped,
            skipped=skipped,
            outside=self.fed_by_strangers,
        )


class Subscription:
    """One request, open at every Doppler from `open` until `close`. Lives on the island."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._feeding: asyncio.Task[None] | None = None
        self._closed = False

    def open(self, dopplers: Dopplers, request: bytes) -> None:
        """Begin to read; a subscription that was closed stays closed."""
        if not self._closed:
            self._feeding = asyncio.ensure_future(Feed(dopplers, request, self._relay).run())
            self._feeding.add_done_callback(_complain)

    async def close(self) -> None:
        """Read no more, and let the Dopplers know what was confirmed; what comes now stays with them."""
        self._closed = True
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait([self._feeding])

    async def _relay(self, arrival: Incoming) -> None:
        await self._take(check(arrival))


def _complain(feeding: asyncio.Task[None]) -> None:
    if not feeding.cancelled() and feeding.exception() is not None:
        log.error("feed_failed", exc_info=feeding.exception())
