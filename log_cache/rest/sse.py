"""What is written into a stream of server-sent events that follows a source. No I/O."""

from __future__ import annotations

from plumbing.http.sse import comment, event

HEARTBEAT = comment("heartbeat")


def data(cursor: str, json: bytes) -> bytes:
    """Write one batch, and where to go on behind it."""
    return event(json, place=cursor)


def place(cursor: str) -> bytes:
    """Say where to go on, with nothing to show: a browser remembers the id and raises no event."""
    return event(place=cursor)


def missed(count: int | None) -> bytes:
    """Say that envelopes expired before they could be written; None if nobody knows how many."""
    return event(b'{"missed":%s}' % (b"null" if count is None else b"%d" % count), name="missed")
