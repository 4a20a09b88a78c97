"""What is written into a stream of server-sent events (loggregator.md 3.2), and the ids that continue one. No I/O."""

from __future__ import annotations

import re
from typing import NamedTuple

STREAM_TIMEOUT = "stream timeout"
SHUTDOWN = "shutdown"

_ID = re.compile(r"([0-9a-f]{32})-([0-9]{1,18})", re.ASCII)


class EventId(NamedTuple):
    """Which event of which session."""

    session: str
    number: int


def parse_id(text: str) -> EventId | None:
    """Read the value of a `Last-Event-ID`; None for one that is none of ours."""
    found = _ID.fullmatch(text.strip())
    return EventId(found[1], int(found[2])) if found else None


def data(session: str, number: int, json: bytes) -> bytes:
    """Write one batch. A client that knows no ids skips their line, and sees the original's event."""
    return b"id: %s-%d\ndata: %s\n\n" % (session.encode(), number, json)


def heartbeat(now: float) -> bytes:
    """Say that the stream is up: exactly two lines and an empty one, which is what clients throw away."""
    return b"event: heartbeat\ndata: %d\n\n" % int(now)


def closing(reason: str) -> bytes:
    """Say goodbye: the client ends the stream when it reads the first line."""
    return b"event: closing\ndata: closing due to %s\n\n" % reason.encode()


def cannot_resume(reason: str) -> bytes:
    """Say in a comment, which every client skips, that this is not the continuation that was asked for."""
    return b": cannot resume: %s\n\n" % reason.encode()
