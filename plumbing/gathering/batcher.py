"""Group what arrives into batches for the sink, by size and by age. No clock, no tasks, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from plumbing.subscription import Incoming


@dataclass(frozen=True, slots=True)
class Piece:
    """What is left of one arrival after filter and transforms, which may be nothing."""

    batch: bytes
    count: int
    arrival: Incoming
    mark: bytes = b""
    """By which its envelopes are known again, if their Doppler repeats them; empty when nobody needs that."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Whole arrivals, joined: one batch for the sink."""

    batch: bytes
    count: int
    arrivals: tuple[Incoming, ...]
    marks: tuple[bytes, ...]


@dataclass(slots=True, kw_only=True)
class Batcher:
    """Releases a bundle before it would be too large, and when its oldest piece is too old.

    An arrival is never cut: one that is larger than the limits is a bundle of its own. What arrived counts towards
    `max_bytes` before the filter as after it, so that the Dopplers' windows never fill up with what nobody wants.
    """

    max_envelopes: int
    max_bytes: int
    max_age_s: float
    due_at: float = field(default=math.inf, init=False)
    held: int = field(default=0, init=False)
    """Envelopes in what is pending."""
    _pieces: list[Piece] = field(default_factory=list, init=False)
    _bytes: int = field(default=0, init=False)
    _arrived_bytes: int = field(default=0, init=False)

    def add(self, piece: Piece, now: float) -> list[Bundle]:
        """Take a piece in; return what is to be sent now: none, one or two bundles."""
        size = len(piece.batch)
        over = self.held + piece.count > self.max_envelopes or self._bytes + size > self.max_bytes
        released = self.take() if over else []
        if not self._pieces:
            self.due_at = now + self.max_age_s
        self._pieces.append(piece)
        self.held += piece.count
        self._bytes += size
        self._arrived_bytes += len(piece.arrival.batch)
        full = self.held >= self.max_envelopes or max(self._bytes, self._arrived_bytes) >= self.max_bytes
        return released + self.take() if full else released

    def take(self) -> list[Bundle]:
        """Release whatever is pending, full or not: at most one bundle."""
        pieces = self._pieces
        if not pieces:
            return []
        bundle = Bundle(
            batch=b"".join([piece.batch for piece in pieces]),
            count=self.held,
            arrivals=tuple(piece.arrival for piece in pieces),
            marks=tuple(piece.mark for piece in pieces if piece.mark),
        )
        self._pieces, self.due_at = [], math.inf
        self.held = self._bytes = self._arrived_bytes = 0
        return [bundle]
