"""What is written into a stream of server-sent events that follows a source. No I/O."""

from __future__ import annotations

HEARTBEAT = b": heartbeat\n\n"


def data(cursor: str, json: bytes) -> bytes:
    """Write one batch, and where to go on behind it."""
    return b"id: %s\ndata: %s\n\n" % (cursor.encode(), json)


def place(cursor: str) -> bytes:
    """Say where to go on, with nothing to show: a browser remembers the id and raises no event."""
    return b"id: %s\n\n" % cursor.encode()


def missed(count: int | None) -> bytes:
    """Say that envelopes expired before they could be written; None if nobody knows how many."""
    return b'event: missed\ndata: {"missed":%s}\n\n' % (b"null" if count is None else b"%d" % count)
