"""Write one session's events to one connection: data, heartbeats, and a last word.

In:    events of a `Session`.
Out:   server-sent events (loggregator.md 3.2), each handed to the transport before the next one.
Drops: nothing. What the client does not take waits in the session, and in the end with the Dopplers.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import trio

from plumbing.http_server import Connection
from reverse_log_proxy.gateway import sse
from reverse_log_proxy.gateway.session import Session

Send = Callable[[Any], Awaitable[None]]

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
]


@dataclass(slots=True)
class StreamCounts:
    """How many streams are open, and what was written to all there were."""

    open: int = 0
    events: int = 0


class ClientGone(Exception):
    """The client has left, or takes nothing: what was being written may or may not have arrived."""


class Stream:
    """One answer that goes on."""

    def __init__(
        self,
        connection: Connection,
        send: Send,
        counts: StreamCounts,
        *,
        heartbeat_s: float,
        timeout_s: float,
        shutdown: trio.Event,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.was_cut = False
        self._connection = connection
        self._send = send
        self._counts = counts
        self._heartbeat_s = heartbeat_s
        self._timeout_s = timeout_s
        self._shutdown = shutdown
        self._now = now
        self._scope = trio.CancelScope()

    def cut(self) -> None:
        """End it and its connection at once."""
        self.was_cut = True
        self._connection.cut()
        self._scope.cancel()

    async def run(self, session: Session, first: bytes = b"") -> None:
        """Write until the time is up, the process stops, or the client is gone."""
        self._counts.open += 1
        try:
            with self._scope, suppress(ClientGone):
                await self._open(first)
                await self._write(session)
        finally:
            self._counts.open -= 1

    async def _open(self, first: bytes) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        if first:
            await self._put(first)

    async def _write(self, session: Session) -> None:
        closes_at = trio.current_time() + self._timeout_s
        beats_at = trio.current_time() + self._heartbeat_s
        while not session.is_over:
            if self._shutdown.is_set():
                await self._put(sse.closing(sse.SHUTDOWN), last=True)
                return
            if trio.current_time() >= closes_at:
                await self._put(sse.closing(sse.STREAM_TIMEOUT), last=True)
                return
            if event := session.outbox.next():
                await self._put(sse.data(session.id, event.number, event.json or b""))
                session.outbox.written(event)
                self._counts.events += 1
                beats_at = trio.current_time() + self._heartbeat_s
            elif trio.current_time() >= beats_at:
                await self._put(sse.heartbeat(self._now()))
                beats_at = trio.current_time() + self._heartbeat_s
            else:
                with trio.move_on_at(min(closes_at, beats_at)):
                    await session.news()
        await self._put(b"", last=True)

    async def _put(self, body: bytes, *, last: bool = False) -> None:
        """Hand over to the transport; the server says nothing of a client that is gone, so the connection is asked."""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})
        if not self._connection.is_open and not last:
            raise ClientGone
