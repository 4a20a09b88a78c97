"""What a log cache answers: pages of envelopes, or that there are none to be had. No I/O.

Ours and an original one answer a read alike; the headers that lead on in order of arrival are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from standpipe.reading.https_client import ServerError

MAX_PAGE = 1000
"""The most envelopes that one read may ask for."""
EARLIEST, LATEST = -(1 << 63), (1 << 63) - 1
"""The bounds of all times, in nanoseconds since 1970."""


class NoEventStream(ServerError):
    """It answered, and not with a stream of events: it is a log cache that has none."""

    retry = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope as the log cache wrote it."""

    time: int
    """Nanoseconds since 1970."""
    json: bytes
    """protojson, on one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one read found, or one event of a stream brought."""

    envelopes: Sequence[Envelope] = ()
    cursor: str | None = None
    """Where to read on in order of arrival; None: this log cache has no cursors, or the node that has them is away."""
    missed: int | None = 0
    """How many envelopes expired before they could be read; None: some, or none, nobody knows."""
    rest: bool = False
    """Whether more had arrived than this page could hold."""
    asked: int = MAX_PAGE
    """How many it could have held."""

    @property
    def is_full(self) -> bool:
        """Whether there may be more."""
        return len(self.envelopes) >= self.asked


def page_of_event(name: str, value: Any, cursor: str) -> Page:
    """Read an event of a stream; call it where an answer is to be `making_sense`."""
    if name == "missed":
        return Page(missed=value["missed"] if value["missed"] is None else int(value["missed"]), cursor=cursor or None)
    envelopes = value["batch"] if name == "message" else ()
    return Page(envelopes=[_envelope(each) for each in envelopes], cursor=cursor or None)


def page_of(headers: Mapping[str, str], batch: Any, asked: int) -> Page:
    """Read an answer to a read, whose headers are in lower case; call it where that is to be `making_sense`."""
    missed = headers.get("standpipe-missed", "0")
    return Page(
        envelopes=[_envelope(each) for each in batch],
        cursor=headers.get("standpipe-cursor") or None,
        missed=int(missed) if missed.isdecimal() else None,
        rest=headers.get("standpipe-rest") == "1",
        asked=asked,
    )


def _envelope(value: Mapping[str, Any]) -> Envelope:
    return Envelope(int(value.get("timestamp", 0)), orjson.dumps(value))
