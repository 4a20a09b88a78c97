"""Server-sent events: how one is written, when a stream has to say something, and the way to its client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import trio

from plumbing.http.exchange import ClientGone
from plumbing.http.server import Connection

HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),  # a proxy that waits for more would hold the last lines back
)


def event(data: bytes | None = None, *, name: str = "", place: str = "") -> bytes:
    """Write one event. Nothing in it has a line break.

    `place` is its id: what a client comes back with in `Last-Event-ID`. Without data a client remembers it and raises
    no event; without a name it is a `message`.
    """
    lines = [b"id: " + place.encode()] if place else []
    if name:
        lines.append(b"event: " + name.encode())
    if data is not None:
        lines.append(b"data: " + data)
    return b"\n".join(lines) + b"\n\n"


def comment(text: str) -> bytes:
    """Write what every client skips."""
    return b": %s\n\n" % text.encode()


class EventStream:
    """One answer that goes on."""

    def __init__(self, connection: Connection, send: Callable[[Any], Awaitable[None]]) -> None:
        self._connection = connection
        self._send = send

    async def begin(self, headers: Iterable[tuple[bytes, bytes]] = HEADERS) -> None:
        """Send the head."""
        await self._send({"type": "http.response.start", "status": 200, "headers": list(headers)})

    async def put(self, body: bytes, *, last: bool = False) -> None:
        """Hand over to the transport. Raises `ClientGone` when the client has left, or takes nothing.

        The server says nothing of a client that is gone, so the connection is asked.
        """
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})
        if not self._connection.is_open and not last:
            raise ClientGone


class Pace:
    """When a stream is to say that it is there, for want of anything else, and when it is to end. On trio's clock."""

    def __init__(self, heartbeat_s: float, timeout_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self._ends_at = trio.current_time() + timeout_s
        self._beats_at = 0.0
        self.wrote()

    def wrote(self) -> None:
        """Something was written: the next heartbeat is due so much later."""
        self._beats_at = trio.current_time() + self._heartbeat_s

    @property
    def is_over(self) -> bool:
        """Whether its time is up."""
        return trio.current_time() >= self._ends_at

    @property
    def is_due(self) -> bool:
        """Whether a heartbeat is."""
        return trio.current_time() >= self._beats_at

    @property
    def wakes_at(self) -> float:
        """When the next of the two comes."""
        return min(self._beats_at, self._ends_at)
