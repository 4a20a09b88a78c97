"""The front door: reads each connection's request, decides, and answers or hands over. Lives on the island.

In:    HTTP requests over TLS, one to a connection.
Out:   answers; or connections, whose clients were let in to a stream and speak WebSocket from here on.
Drops: nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeAlias, cast

import structlog

from plumbing.auth import Authority, presented_token
from plumbing.config import join_listen
from traffic_controller.access_log import AccessLog, access_line
from traffic_controller.config import Config
from traffic_controller.doors import Door, Endpoint, Stream, cross_origin, find_door, forwarded_for, make_stream, refuse
from traffic_controller.http_errands import Errands
from traffic_controller.http_messages import (
    FAULT,
    NOT_FOUND,
    TOO_MANY_READERS,
    TOO_MANY_REQUESTS,
    Answer,
    BadRequest,
    Request,
    RequestReader,
    text,
)
from traffic_controller.http_upgrade import handshake, refuse_upgrade

log = structlog.get_logger(__name__)

_MAX_AHEAD_BYTES = 16 << 10  # what a client may send before its answer, and one read of 64 KiB
_LINGER_S = 0.5  # as Go's server does: an answer is lost with a connection that is closed on unread bytes
_MAX_SHOWN = 256


class Visitor(asyncio.Protocol):
    """One connection, until its request is answered or a WebSocket takes it over."""

    transport: asyncio.Transport

    def __init__(self, visit: Callable[[Visitor], Coroutine[Any, Any, None]]) -> None:
        self.gone = asyncio.Event()
        self.visit: asyncio.Task[None]
        self._begin = visit
        self._arrived = b""
        self._has_ended = False
        self._news = asyncio.Event()

    @property
    def has_left(self) -> bool:
        """Whether the client has hung up, or is about to be."""
        return self._has_ended or self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the visit."""
        self.transport = cast(asyncio.Transport, transport)
        self.visit = asyncio.ensure_future(self._begin(self))

    def data_received(self, data: bytes) -> None:
        """Keep what came in until it is wanted."""
        self._arrived += data
        self._news.set()
        if len(self._arrived) > _MAX_AHEAD_BYTES:
            self.transport.pause_reading()

    def eof_received(self) -> None:
        """Say that no more will come; the connection closes by itself."""
        self._has_ended = True
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        """End the visit."""
        self.gone.set()
        self.visit.cancel()

    async def receive(self) -> bytes:
        """Wait for bytes and return them; none once the client has hung up."""
        await self._news.wait()
        return self.take()

    def take(self) -> bytes:
        """Return what is there."""
        self._news.clear()
        arrived, self._arrived = self._arrived, b""
        self.transport.resume_reading()
        return arrived

    def address(self, end: str) -> str:
        """Return the `host:port` of one end of the connection: `peername` is the client's, `sockname` ours."""
        socket_name = self.transport.get_extra_info(end)
        return join_listen(socket_name[0], socket_name[1]) if socket_name else ""


HandOver: TypeAlias = Callable[[asyncio.Transport, Stream, bytes], None]
"""Takes over a connection whose client was let in, with what has arrived on it: a handshake, to begin with."""


class FrontDoor:
    """Receives whoever connects."""

    def __init__(
        self,
        config: Config,
        authority: Authority,
        errands: Errands,
        access_log: AccessLog | None,
        *,
        has_seat: Callable[[], bool],
        refused: Counter[int],
    ) -> None:
        self.answers: Counter[int] = Counter()
        """Answers given, by HTTP status."""
        self._refused = refused
        self._config = config
        self._authority = authority
        self._errands = errands
        self._access_log = access_log
        self._has_seat = has_seat
        self._visitors: set[Visitor] = set()
        self._undecided: set[Visitor] = set()

    def __len__(self) -> int:
        return len(self._visitors)

    def receive(self, hand_over: HandOver) -> Visitor:
        """Return the protocol of a new connection."""
        return Visitor(lambda visitor: self._visit(visitor, hand_over))

    def close(self) -> None:
        """Wait for no more requests; those that are here are answered."""
        for visitor in self._undecided:
            visitor.transport.close()

    async def empty(self) -> None:
        """Wait until nobody waits for an answer."""
        if self._visitors:
            await asyncio.wait([visitor.visit for visitor in self._visitors])

    def abort(self) -> None:
        """Cut off whoever still waits for an answer."""
        for visitor in self._visitors:
            visitor.transport.abort()

    async def _visit(self, visitor: Visitor, hand_over: HandOver) -> None:
        """Serve one connection, whatever comes in on it: a fault is its own, and nobody else's."""
        reader = RequestReader()
        is_crowded = len(self._visitors) >= self._config.max_requests
        self._visitors.add(visitor)
        try:
            if is_crowded:
                await self._reply(visitor, reader, TOO_MANY_REQUESTS)
            else:
                await self._serve(visitor, reader, hand_over)
        except BadRequest as refusal:
            await self._reply(visitor, reader, text(refusal.status, f"{refusal.status.phrase}\n"))
        except Exception:
            log.exception("request_failed")
            if not reader.answered:
                await self._reply(visitor, reader, FAULT)
            visitor.transport.close()
        finally:
            self._visitors.discard(visitor)

    async def _serve(self, visitor: Visitor, reader: RequestReader, hand_over: HandOver) -> None:
        request = await self._read(visitor, reader)
        if request is None:
            visitor.transport.close()
            return
        self._note(visitor, request)
        door = find_door(request.target)
        if door is None:
            await self._reply(visitor, reader, NOT_FOUND)
            return
        token = presented_token(request.headers)
        guids_only = self._config.auth.mode == "uaa"
        refusal = await refuse(door, token, self._authority, guids_only=guids_only)
        if refusal is None and door.is_a_stream:
            refusal = refuse_upgrade(request) if self._has_seat() else TOO_MANY_READERS
        if refusal is not None:
            await self._reply(visitor, reader, _shared(door, request, refusal))
        elif visitor.has_left:  # whoever took it over would never hear that it is lost
            visitor.transport.close()
        elif door.is_a_stream:
            stream = make_stream(door, request, visitor.address("peername"))
            self._count(HTTPStatus.SWITCHING_PROTOCOLS)
            hand_over(visitor.transport, stream, handshake(request) + reader.rest + visitor.take())
        else:
            body = await self._read_body(visitor, reader) if door.endpoint is Endpoint.SET_COOKIE else b""
            with self._errands.turn(door) as has_turn:
                answer = await self._errands.answer(door, request, body, token) if has_turn else TOO_MANY_REQUESTS
                await self._reply(visitor, reader, _shared(door, request, answer))

    async def _read(self, visitor: Visitor, reader: RequestReader) -> Request | None:
        """Return the request; None from whoever hangs up, or says nothing at all."""
        has_begun = False
        self._undecided.add(visitor)
        try:
            async with asyncio.timeout(self._config.header_timeout_s):
                while arrived := await visitor.receive():
                    has_begun = True
                    if (request := reader.head(arrived)) is not None:
                        return request
        except TimeoutError:
            if has_begun:
                raise BadRequest(HTTPStatus.REQUEST_TIMEOUT) from None
        finally:
            self._undecided.discard(visitor)
        return None

    async def _read_body(self, visitor: Visitor, reader: RequestReader) -> bytes:
        try:
            async with asyncio.timeout(self._config.header_timeout_s):
                body = reader.body()
                while body is None:
                    visitor.transport.write(reader.go_ahead())
                    body = reader.body(await visitor.receive())
                return body
        except TimeoutError:
            raise BadRequest(HTTPStatus.REQUEST_TIMEOUT) from None

    async def _reply(self, visitor: Visitor, reader: RequestReader, answer: Answer) -> None:
        """Answer and hang up; a client that does not take its answer loses the connection."""
        self._count(answer.status)
        visitor.transport.write(reader.write(answer, time.time()))
        if reader.has_more():
            await self._listen_out(visitor)
        visitor.transport.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.goodbye_s):
                await visitor.gone.wait()
        visitor.transport.abort()

    async def _listen_out(self, visitor: Visitor) -> None:
        """Let a client finish that was answered before it had said everything; nothing of it is kept."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while await visitor.receive():
                    pass

    def _count(self, status: HTTPStatus) -> None:
        self.answers[status] += 1
        if status >= HTTPStatus.BAD_REQUEST:
            self._refused[status] += 1

    def _note(self, visitor: Visitor, request: Request) -> None:
        """Write down who asked for what, without the token."""
        remote = visitor.address("peername")
        log.info(
            "request",
            method=request.method[:_MAX_SHOWN],
            path=request.path[:_MAX_SHOWN],
            remote=remote,
            forwarded_for=forwarded_for(request),
            forwarded_proto=request.header("x-forwarded-proto")[:_MAX_SHOWN],
        )
        if self._access_log is not None:
            line = access_line(request, remote=remote, local=visitor.address("sockname"), now_s=time.time())
            self._access_log.write(line)


def _shared(door: Door, request: Request, answer: Answer) -> Answer:
    """Let pages of other origins read an answer that is meant for pages, a refusal included."""
    return replace(answer, headers=(*answer.headers, *cross_origin(door, request)))
