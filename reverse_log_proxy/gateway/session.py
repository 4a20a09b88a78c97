"""One subscription of the gateway, which outlives the connection it is written to.

In:    arrivals from every Doppler.
Out:   numbered events, for whichever connection has the seat.
Drops: those of its `Outbox`.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog
import trio

from plumbing.egress_client import Arrival
from plumbing.ledger import Account
from reverse_log_proxy.gateway.outbox import Outbox
from reverse_log_proxy.gateway.query import Query

log = structlog.get_logger(__name__)


class Upstream(Protocol):
    """Where a session's envelopes come from."""

    async def run(self) -> None:
        """Read until cancelled."""

    def confirm(self, arrivals: Sequence[Arrival]) -> None:
        """Pass on that these have been dealt with."""


class Sitter(Protocol):
    """A connection that events are written to."""

    def cut(self) -> None:
        """End it at once: another one takes its place."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who asked for what: the same query may be continued, with any token that opens it now."""

    query: Query
    token: bytes
    """A digest of it: clients change their tokens every few minutes, often in the middle of a session."""


class Session:
    """A feed, an outbox, and one seat for the connection that is written to."""

    def __init__(
        self,
        name: str,
        owner: Owner,
        open_upstream: Callable[[Callable[[Arrival], None]], Upstream],
        *,
        linger_s: float,
        resume_bytes: int,
    ) -> None:
        self.id = secrets.token_hex(16)
        self.owner = owner
        self._upstream = open_upstream(self._arrived)
        self.outbox = Outbox(name, self._upstream.confirm, resume_bytes)
        self._linger_s = linger_s
        self._news = trio.Event()
        self._life = trio.CancelScope()
        self._seat = trio.Lock()
        self._sitter: Sitter | None = None

    async def run(self) -> None:
        """Read from the Dopplers until nobody has sat here for `linger_s`, or until `end`."""
        try:
            with self._life:
                await self._upstream.run()
        except Exception:
            log.exception("gateway_feed_failed", session=self.outbox.name)
        finally:
            self.end()
            self.outbox.close()

    def end(self) -> None:
        """Let it be over."""
        self._life.cancel()
        self.wake()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be written of it."""
        return self._life.cancel_called

    @property
    def lingers_until(self) -> float:
        """When it ends by itself, on trio's clock; infinity while a connection has the seat."""
        return self._life.deadline

    @asynccontextmanager
    async def seat(self, sitter: Sitter) -> AsyncIterator[bool]:
        """Take the seat, away from whoever has it; false when the session is over, or somebody else came for it."""
        if self.is_over:
            yield False
            return
        if self._sitter is not None:
            self._sitter.cut()
        self._sitter = sitter
        self._life.deadline = math.inf
        try:
            async with self._seat:
                yield self._sitter is sitter and not self.is_over
        finally:
            if self._sitter is sitter:
                self._sitter = None
                self._life.deadline = trio.current_time() + self._linger_s

    async def news(self) -> None:
        """Wait until there may be something to write, or until the session is over."""
        await self._news.wait()
        self._news = trio.Event()

    def wake(self) -> None:
        """Let whoever waits for news look again."""
        self._news.set()

    def account(self) -> Account:
        """Show the books."""
        return self.outbox.account()

    def _arrived(self, arrival: Arrival) -> None:
        if not self.is_over:  # else it stays with its Doppler, unconfirmed
            self.outbox.put(arrival)
            self.wake()
