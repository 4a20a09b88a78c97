"""What is written into a stream of server-sent events (loggregator.md 3.2), and the ids that continue one. No I/O."""

from __future__ import annotations

import re
from typing import NamedTuple

from plumbing.http.sse import comment, event

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
    return event(json, place=f"{session}-{number}")


def heartbeat(now: float) -> bytes:
    """Say that the stream is up: exactly two lines and an empty one, which is what clients throw away."""
    return event(b"%d" % int(now), name="heartbeat")


def closing(reason: str) -> bytes:
    """Say goodbye: the client ends the stream when it reads the first line."""
    return event(b"closing due to " + reason.encode(), name="closing")


def cannot_resume(reason: str) -> bytes:
    """Say in a comment, which every client skips, that this is not the continuation that was asked for."""
    return comment(f"cannot resume: {reason}")
