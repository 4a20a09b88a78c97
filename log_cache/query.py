"""What is asked of a cache about one source, and what it answers (loggregator.md 4.1, 2.7)."""

from __future__ import annotations

from dataclasses import dataclass

from envelope.kinds import Kind

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


class BadRequest(ValueError):
    """The request cannot be answered: tell the client the message, which is the original's where it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One read, checked and complete: every default is filled in."""

    source_id: str
    start: int
    """Nanoseconds since 1970, inclusive; may be negative."""
    end: int
    """Exclusive."""
    open_ended: bool = False
    """Whether the client named no end, as one that follows does: then `end` is the moment at which it asked."""
    limit: int = DEFAULT_LIMIT
    """Envelopes, from 1 to `MAX_LIMIT`."""
    kinds: Kind = Kind.ALL
    descending: bool = False
    """Whether to take the newest, newest first, and not the oldest, oldest first."""
    name_filter: str = ""
    """RE2, unanchored, known to compile; empty lets everything through."""
    cursor: str | None = None
    """Where an earlier answer ended: read on from there in order of arrival. Empty: from the oldest that is held."""
    wait_s: float = 0.0
    """With a cursor: how long to wait for an envelope if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found: as many as were asked for at most, and what has the time of the last of them."""

    batch: bytes
    """A serialised `EnvelopeBatch`."""
    count: int
    cursor: str
    """For the next read in order of arrival; after a read by time it stands behind all that had arrived by then."""
    missed: int | None = 0
    """With a cursor: how many envelopes expired between it and the first of these; None if nobody knows."""
    rest: bool = False
    """With a cursor: whether more had arrived than this answer could hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """How much of a source is held (loggregator.md 2.7)."""

    count: int
    expired: int
    oldest: int
    """Nanoseconds since 1970."""
    newest: int
