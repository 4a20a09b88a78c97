"""All the sessions of one gateway: who may have one more, who continues which, and their books.

At most `max_streams` are there, those that linger for a client to come back included.
"""

from __future__ import annotations

import math

import trio

from plumbing.egress_client import Dopplers
from plumbing.island import Island
from plumbing.ledger import Account
from plumbing.readers import Roster
from reverse_log_proxy.gateway.config import GatewaySettings
from reverse_log_proxy.gateway.inlet import Inlet
from reverse_log_proxy.gateway.refusals import STREAMING_UNAVAILABLE
from reverse_log_proxy.gateway.session import Owner, Session
from reverse_log_proxy.gateway.sse import EventId


class Sessions:
    """Opens sessions, finds them again, and runs them in one nursery."""

    def __init__(self, config: GatewaySettings, dopplers: Dopplers) -> None:
        self._config = config
        self._dopplers = dopplers
        self._roster: Roster[Session] = Roster()
        self._opened = 0
        self._ready: tuple[Island, trio.Nursery] | None = None

    def __len__(self) -> int:
        return len(self._roster)

    def begin(self, island: Island, nursery: trio.Nursery) -> None:
        """Run what is opened from now on in `nursery`."""
        self._ready = island, nursery

    def find(self, asked: EventId, owner: Owner) -> Session | str:
        """Find the session that `owner` wants to continue, and make it theirs; or say why there is none.

        Whoever knows the 128 random bits of a session, and may ask for what it asks for, may have it.
        """
        session = next((session for session in self._roster if session.id == asked.session), None)
        if session is None or session.is_over:
            return "the session is over"
        if session.owner.query.meaning != owner.query.meaning:
            return "the session has another query"
        session.owner = owner
        return session

    def open(self, owner: Owner) -> Session:
        """Open a session; raises `STREAMING_UNAVAILABLE` when there are too many that a client reads from."""
        if self._ready is None:
            raise STREAMING_UNAVAILABLE
        self._make_room(owner)
        self._opened += 1
        island, nursery = self._ready
        session = Session(
            f"gateway {self._opened}",
            owner,
            lambda arrived: Inlet(island, self._dopplers, owner.query.request, arrived),
            linger_s=self._config.resume_linger_s,
            resume_bytes=self._config.resume_bytes,
        )
        self._roster.enter(session)
        nursery.start_soon(self._run, session)
        return session

    def wake(self) -> None:
        """Let every stream look whether it has to close."""
        for session in self._roster:
            session.wake()

    def accounts(self) -> list[Account]:
        """Show the books of the sessions there are and of the last that are over."""
        return self._roster.accounts()

    def total(self) -> Account:
        """Add all of them up."""
        return self._roster.total()

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        finally:
            self._roster.leave(session)

    def _make_room(self, owner: Owner) -> None:
        """End sessions that linger: this client's own, of a shard that it would share with itself; else the oldest.

        A client that starts anew will not come back for what it shares, and its share would wait there in vain.
        """
        there = [session for session in self._roster if not session.is_over]
        lingering = sorted(
            (session for session in there if session.lingers_until < math.inf), key=lambda each: each.lingers_until
        )
        for session in lingering:
            if owner.query.is_shared and session.owner == owner:
                session.end()
        if len([session for session in there if not session.is_over]) < self._config.max_streams:
            return
        oldest = next((session for session in lingering if not session.is_over), None)
        if oldest is None:
            raise STREAMING_UNAVAILABLE
        oldest.end()
