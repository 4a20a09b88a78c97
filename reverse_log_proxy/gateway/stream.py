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

from plumbing.http.exchange import ClientGone
from plumbing.http.server import Connection
from plumbing.http.sse import EventStream, Pace
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
        self._events = EventStream(connection, send)
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
        await self._events.begin(HEADERS)
        if first:
            await self._events.put(first)

    async def _write(self, session: Session) -> None:
        pace = Pace(self._heartbeat_s, self._timeout_s)
        while not session.is_over:
            if self._shutdown.is_set():
                await self._events.put(sse.closing(sse.SHUTDOWN), last=True)
                return
            if pace.is_over:
                await self._events.put(sse.closing(sse.STREAM_TIMEOUT), last=True)
                return
            if event := session.outbox.next():
                await self._events.put(sse.data(session.id, event.number, event.json or b""))
                session.outbox.written(event)
                self._counts.events += 1
                pace.wrote()
            elif pace.is_due:
                await self._events.put(sse.heartbeat(self._now()))
                pace.wrote()
            else:
                with trio.move_on_at(pace.wakes_at):
                    await session.news()
        await self._events.put(b"", last=True)
