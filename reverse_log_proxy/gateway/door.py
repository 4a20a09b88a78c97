"""The door: one route, who may come in, and a `Stream` for each who did.

In:    HTTP requests, with a token.
Out:   streams of server-sent events, or a refusal; one line in the log for each request.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from plumbing.auth import Access, Authority, presented_token
from plumbing.config import join_listen
from plumbing.http_server import Connection
from reverse_log_proxy.gateway import sse
from reverse_log_proxy.gateway.config import GatewaySettings
from reverse_log_proxy.gateway.query import parse_parameters, parse_query, understood
from reverse_log_proxy.gateway.refusals import (
    METHOD_NOT_ALLOWED,
    NO_SUCH_PAGE,
    NOT_FOUND,
    STREAMING_UNAVAILABLE,
    STREAMING_UNSUPPORTED,
    Refusal,
)
from reverse_log_proxy.gateway.session import Owner
from reverse_log_proxy.gateway.sessions import Sessions
from reverse_log_proxy.gateway.stream import Stream, StreamCounts

log = structlog.get_logger(__name__)

PATH = "/v2/read"
_GRACE_S = 60.0  # beyond the end of a stream, for its last event
_LOGGED = 2000  # characters of what a client sends


@dataclass(slots=True)
class DoorCounts:
    """What became of requests."""

    resumed: int = 0
    resume_failures: int = 0
    refused: Counter[int] = field(default_factory=Counter)


class Door:
    """The gateway as an ASGI application."""

    def __init__(self, config: GatewaySettings, authority: Authority, sessions: Sessions, shutdown: trio.Event) -> None:
        self.counts = DoorCounts()
        self.streams = StreamCounts()
        self._config = config
        self._authority = authority
        self._sessions = sessions
        self._shutdown = shutdown
        self._answering = 0
        self._answered = trio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and discard whatever else its client sends meanwhile."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        answer = _Answer(scope, send)
        self._answering += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
                await self._answer(scope, answer)
                nursery.cancel_scope.cancel()
        finally:
            self._answering -= 1
            self._answered.set()
            answer.log()

    async def empty(self) -> None:
        """Wait until nobody is being answered."""
        while self._answering:
            self._answered = trio.Event()
            await self._answered.wait()

    async def _answer(self, scope: Scope, answer: _Answer) -> None:
        try:
            await self._read(scope, Headers(scope=scope), answer.send)
        except Refusal as refusal:
            self.counts.refused[refusal.status] += 1
            headers = [(name.lower().encode(), value.encode()) for name, value in refusal.headers.items()]
            await answer.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
            await answer.send({"type": "http.response.body", "body": refusal.body})

    async def _read(self, scope: Scope, headers: Headers, send: Send) -> None:
        """Check in the order of the original: path, access, method, query."""
        if scope["path"] != PATH:
            raise NO_SUCH_PAGE
        parameters = parse_parameters(scope["query_string"])
        token = presented_token(headers.raw)
        if not await self._may_read(token, parameters.get("source_id", ())):
            raise NOT_FOUND
        if scope["method"] != "GET":
            raise METHOD_NOT_ALLOWED
        query = parse_query(parameters)
        if not scope["http_version"].startswith("1"):  # one connection, one stream: a slow one is found out
            raise STREAMING_UNSUPPORTED
        if self._shutdown.is_set():
            raise STREAMING_UNAVAILABLE
        connection: Connection = scope["state"]["connection"]
        connection.lasts(self._config.stream_timeout_s + _GRACE_S)
        stream = self._stream(connection, send)
        owner = Owner(query, hashlib.sha256((token or "").encode()).digest())
        await self._serve(stream, owner, headers.get("last-event-id", ""))

    async def _may_read(self, token: str | None, sources: Sequence[str]) -> bool:
        """Tell whether a token opens everything, or each source; one of which nobody says what it is, opens nothing."""
        everything = (await self._authority.admin(token)).access
        if everything in (Access.GRANTED, Access.UNKNOWN):
            return everything is Access.GRANTED
        for source in dict.fromkeys(sources):
            decision = await self._authority.source(token, source, services=True) if source else None
            if decision is None or decision.access is not Access.GRANTED:
                return False
        return bool(sources)

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


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # a body, which nobody wants
    scope.cancel()


class _Answer:
    """What is answered to one request, and its line in the log."""

    def __init__(self, scope: Scope, send: Send, now: Callable[[], float] = trio.current_time) -> None:
        self._scope = scope
        self._send = send
        self._now = now
        self._began_at = now()
        self._status = 0
        self._bytes = 0

    async def send(self, message: Message) -> None:
        """Pass on, and take note."""
        self._status = message.get("status", self._status)
        self._bytes += len(message.get("body", b""))
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        with trio.CancelScope(shield=is_last):  # or the news of its end would end it before the server knows of it
            await self._send(message)

    def log(self) -> None:
        """Write the line: the fields of a combined log, without what may hold a token."""
        scope = self._scope
        headers = Headers(scope=scope)
        query = understood(scope["query_string"].decode("latin-1"))
        log.info(
            "gateway_request",
            remote=_address(scope.get("client")),
            method=scope["method"],
            target=f"{scope['raw_path'].decode('latin-1')}{'?' if query else ''}{query}"[:_LOGGED],
            protocol=f"HTTP/{scope['http_version']}",
            status=self._status,
            bytes=self._bytes,
            referer=headers.get("referer", "-").partition("?")[0][:_LOGGED],
            user_agent=headers.get("user-agent", "-")[:_LOGGED],
            duration_s=round(self._now() - self._began_at, 3),
        )


def _address(client: Any) -> str:
    return join_listen(*client[:2]) if client else "-"
