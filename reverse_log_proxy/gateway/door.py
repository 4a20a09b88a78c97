"""The door: one route, who may come in, and a `Stream` for each who did.

In:    HTTP requests, with a token.
Out:   streams of server-sent events, or a refusal; one line in the log for each request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import trio
from starlette.types import Send

from plumbing.auth import Authority
from plumbing.http.door import HttpDoor, Manners, RequestCounts
from plumbing.http.exchange import Exchange
from plumbing.http.gate import Gate
from plumbing.http.server import Connection
from reverse_log_proxy.gateway import sse
from reverse_log_proxy.gateway.config import GatewaySettings
from reverse_log_proxy.gateway.query import UNDERSTOOD, parse_parameters, parse_query
from reverse_log_proxy.gateway.refusals import (
    FAULT,
    METHOD_NOT_ALLOWED,
    NO_SUCH_PAGE,
    NOT_FOUND,
    STREAMING_UNAVAILABLE,
    STREAMING_UNSUPPORTED,
)
from reverse_log_proxy.gateway.session import Owner
from reverse_log_proxy.gateway.sessions import Sessions
from reverse_log_proxy.gateway.stream import Stream, StreamCounts

PATH = "/v2/read"
_GRACE_S = 60.0  # beyond the end of a stream, for its last event


@dataclass(slots=True)
class DoorCounts(RequestCounts):
    """What became of requests."""

    resumed: int = 0
    resume_failures: int = 0


_MANNERS = Manners(name="gateway", shown=UNDERSTOOD, fault=FAULT, cache_control="", tells_successes=True)


class Door(HttpDoor):
    """The gateway as an ASGI application."""

    def __init__(self, config: GatewaySettings, authority: Authority, sessions: Sessions, shutdown: trio.Event) -> None:
        self.counts = DoorCounts()
        super().__init__(_MANNERS, self.counts)
        self.streams = StreamCounts()
        self._config = config
        self._gate = Gate(authority, lambda: NOT_FOUND)
        self._sessions = sessions
        self._shutdown = shutdown

    async def respond(self, exchange: Exchange) -> None:
        """Answer one request, and discard whatever else its client sends meanwhile."""
        async with exchange.until_gone():
            await self._read(exchange)

    def stop(self) -> None:
        """Say goodbye to every client."""
        self._shutdown.set()
        self._sessions.wake()

    async def _read(self, exchange: Exchange) -> None:
        """Check in the order of the original: path, access, method, query."""
        scope = exchange.scope
        if scope["path"] != PATH:
            raise NO_SUCH_PAGE
        parameters = parse_parameters(scope["query_string"])
        await self._admit(exchange.token, parameters.get("source_id", ()))
        if exchange.method != "GET":
            raise METHOD_NOT_ALLOWED
        query = parse_query(parameters)
        if not scope["http_version"].startswith("1"):  # one connection, one stream: a slow one is found out
            raise STREAMING_UNSUPPORTED
        if self._shutdown.is_set():
            raise STREAMING_UNAVAILABLE
        exchange.connection.lasts(self._config.stream_timeout_s + _GRACE_S)
        stream = self._stream(exchange.connection, exchange.send)
        owner = Owner(query, hashlib.sha256((exchange.token or "").encode()).digest())
        await self._serve(stream, owner, exchange.headers.get("last-event-id", ""))

    async def _admit(self, token: str | None, sources: Sequence[str]) -> None:
        """Let whoever may read everything through, and whoever may read each source, if they name any."""
        if await self._gate.is_admin(token):
            return
        for source in dict.fromkeys(sources or ("",)):
            if not source or not await self._gate.may_read(token, source):
                raise NOT_FOUND

    def _stream(self, connection: Connection, send: Send) -> Stream:
        return Stream(
            connection,
            send,
            self.streams,
            heartbeat_s=self._config.heartbeat_s,
            timeout_s=self._config.stream_timeout_s,
            shutdown=self._shutdown,
        )

    async def _serve(self, stream: Stream, owner: Owner, last_event_id: str) -> None:
        """Continue where the client was, or begin anew and say why."""
        first = b""
        if last_event_id:
            reason = await self._resume(stream, owner, last_event_id)
            if reason is None:
                return
            self.counts.resume_failures += 1
            first = sse.cannot_resume(reason)
        if stream.was_cut:
            return
        session = self._sessions.open(owner)
        async with session.seat(stream) as seated:
            if not seated:
                raise STREAMING_UNAVAILABLE
            await stream.run(session, first)

    async def _resume(self, stream: Stream, owner: Owner, last_event_id: str) -> str | None:
        """Continue a session to the end of the stream; or say why not."""
        asked = sse.parse_id(last_event_id)
        if asked is None:
            return "the id is none of ours"
        session = self._sessions.find(asked, owner)
        if isinstance(session, str):
            return session
        async with session.seat(stream) as seated:
            if not seated:
                return "the session is over"
            if session.outbox.resume_after(asked.number):
                self.counts.resumed += 1
                await stream.run(session)
                return None
            session.end()  # its client is here, and cannot use it
        return "the events after that id are not held"
