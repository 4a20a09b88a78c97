"""What a reader sees of a source: a moment's contents, which stay readable whatever the store does next.

A view is made in microseconds and never changes. Reading it is the heavy half, and may happen in any thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from envelope.kinds import Kind
from log_cache.chunk import Bools, Chunk, Int64s
from log_cache.cursor import Position
from log_cache.selection import Selection, SelectionReader, in_order_of_time
from log_cache.source import Source

MAX_TAKEN_BYTES = 50 << 20
"""The largest batch that is taken at once: the bound of the original's gRPC. A client that is told asks for less."""
_FILTERED_AT_ONCE = 256
_FILTERED_AT_ONCE_BYTES = 1 << 20  # takes 5 ms, and as long no other thread runs


class TooMuch(Exception):
    """What was to be taken is larger than `MAX_TAKEN_BYTES`."""


def _never() -> bool:
    return False


class Matching(Protocol):
    """Keeps some of the envelopes of a batch."""

    def apply(self, batch: bytes) -> tuple[bytes, int]:
        """Return what is kept, in order, and its count."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken from a view."""

    batch: bytes
    count: int
    position: Position
    """Where to read on in order of arrival."""
    missed: int | None
    """In order of arrival: how many had expired between where the view began and `position`; None if nobody knows."""
    rest: bool
    """Whether the view holds more; with a filter, some of it may turn out not to match."""


class View(ABC):
    """Some of the envelopes that a source held at one moment; of a source that is not there, none."""

    def __init__(self, source: Source | None, end: Position, kinds: int) -> None:
        self.end = end
        """Behind all that had arrived."""
        self._kinds = kinds
        self._packed = list(source.chunks) if source else []
        self._head = source.head.snapshot() if source and source.head.count else None

    def take(
        self, limit: int, matching: Matching | None = None, ties: int = 0, is_late: Callable[[], bool] = _never
    ) -> Taken:
        """Take the first `limit` envelopes, or of those that match.

        With `ties`, what follows the last of them with the same time is taken too, out of so many envelopes, if it is
        not too much. Raises `TooMuch`. Once it `is_late`, what was found of what matches is all there is, and there is
        a rest.
        """
        chunks = self._chunks()
        taker = _Taker(matching)
        seen = -1
        for selection in self._selections(chunks):
            stop = 0
            while stop < len(selection):
                if taker.count >= limit or is_late():
                    return self._taken(taker.batches, taker.count, chunks, seen)
                stop = taker.take(selection, stop, limit - taker.count)
                if taker.count == limit and ties:
                    behind = selection.behind_ties(stop, ties)
                    with suppress(TooMuch):  # then not: a client that asks for less must get it
                        while stop < behind:
                            stop = taker.take(selection[:behind], stop, ties)
                seen = selection.number(stop - 1)
        return self._taken(taker.batches, taker.count, chunks, None)

    def batches(self) -> Iterator[bytes]:
        """Give everything in order of arrival, whatever the order of the view, a chunk at a time."""
        reader = SelectionReader()
        for chunk in self._chunks():
            if len(rows := self._rows(chunk)):
                yield reader.cut(chunk, rows)

    def _chunks(self) -> list[Chunk]:
        return [*self._packed, self._head.loose()] if self._head else self._packed

    def _rows(self, chunk: Chunk) -> Int64s:
        """Give the rows of a chunk that are in the view, in order of arrival."""
        rows = chunk.live_rows()
        if self._kinds & Kind.ALL != Kind.ALL:
            rows = rows[(chunk.records["kind"][rows] & self._kinds) != 0]
        return rows[self._within(chunk, rows)]

    @abstractmethod
    def _within(self, chunk: Chunk, rows: Int64s) -> Bools | slice:
        """Say which of some rows of a chunk are within the bounds of the view."""

    @abstractmethod
    def _selections(self, chunks: list[Chunk]) -> Iterator[Selection]:
        """Give what is in the view in its order."""

    @abstractmethod
    def _taken(self, taken: list[bytes], count: int, chunks: list[Chunk], seen: int | None) -> Taken:
        """Finish: `seen` is the number of the last envelope that was looked at, -1 before any, None behind all."""


class TimeView(View):
    """By time: `[start, end)`, of equal times in order of arrival; descending is the exact reverse."""

    def __init__(
        self, source: Source | None, behind: Position, kinds: int, start: int, end: int, *, descending: bool
    ) -> None:
        super().__init__(source, behind, kinds)
        self._bounds = start, end
        self._descending = descending

    def _chunks(self) -> list[Chunk]:
        start, end = self._bounds
        return [chunk for chunk in super()._chunks() if chunk.newest >= start and chunk.oldest < end]

    def _within(self, chunk: Chunk, rows: Int64s) -> Bools | slice:
        start, end = self._bounds
        if start <= chunk.oldest and chunk.newest < end:
            return slice(None)
        times: Int64s = chunk.records["time"][rows]
        within: Bools = (times >= max(start, chunk.oldest)) & (times <= min(end - 1, chunk.newest))
        return within

    def _selections(self, chunks: list[Chunk]) -> Iterator[Selection]:
        return in_order_of_time(chunks, self._rows, descending=self._descending)

    def _taken(self, taken: list[bytes], count: int, chunks: list[Chunk], seen: int | None) -> Taken:  # noqa: ARG002
        return Taken(b"".join(taken), count, self.end, 0, seen is not None)


class ArrivalView(View):
    """In order of arrival, from a number on; `known` says whether it is known that nothing was missed before that."""

    def __init__(self, source: Source | None, behind: Position, kinds: int, start: int | None, *, known: bool) -> None:
        super().__init__(source, behind, kinds)
        self._start = start
        self._known = known

    def _chunks(self) -> list[Chunk]:
        chunks = super()._chunks()
        return chunks if self._start is None else [chunk for chunk in chunks if chunk.last >= self._start]

    def _within(self, chunk: Chunk, rows: Int64s) -> Bools | slice:
        if self._start is None or chunk.first >= self._start:
            return slice(None)
        within: Bools = chunk.numbers_of(rows) >= self._start
        return within

    def _selections(self, chunks: list[Chunk]) -> Iterator[Selection]:
        for chunk in chunks:
            if len(rows := self._rows(chunk)):
                yield Selection.of(chunk, rows)

    def _taken(self, taken: list[bytes], count: int, chunks: list[Chunk], seen: int | None) -> Taken:
        start = self._first_number(chunks) if self._start is None else self._start
        behind = self.end.seq if seen is None else start if seen < 0 else seen + 1
        missed = behind - start - sum(_live_between(chunk, start, behind) for chunk in chunks)
        position = Position(self.end.birth, behind)
        return Taken(b"".join(taken), count, position, missed if self._known else None, seen is not None)

    def _first_number(self, chunks: list[Chunk]) -> int:
        """Give the number of the first envelope that has not expired."""
        return int(chunks[0].numbers_of(chunks[0].live_rows()[:1])[0]) if chunks else self.end.seq


def _live_between(chunk: Chunk, start: int, behind: int) -> int:
    if chunk.first >= start and chunk.last < behind:
        return chunk.live
    numbers = chunk.numbers_of(chunk.live_rows())
    return int(((numbers >= start) & (numbers < behind)).sum())


class _Taker:
    """Takes from selections, no more than `MAX_TAKEN_BYTES` in all."""

    def __init__(self, matching: Matching | None) -> None:
        self.batches: list[bytes] = []
        self.count = 0
        self._matching = matching
        self._reader = SelectionReader()
        self._size = 0

    def take(self, selection: Selection, start: int, room: int) -> int:
        """Take what there is room for, from `start` on, and of what has to match no more than a part; say how far."""
        if self._matching is None:
            part = selection[start : start + room]
            self._grow(int(part.sizes().sum()))
            batch, count, passed = self._reader.batch(part), len(part), len(part)
        else:
            part = _small(selection[start : start + _FILTERED_AT_ONCE])
            batch, count, passed = _fitting(self._reader, part, room, self._matching)
            self._grow(len(batch))
        self.batches.append(batch)
        self.count += count
        return start + passed

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MAX_TAKEN_BYTES:
            raise TooMuch(f"grpc: received message larger than max ({self._size} vs. {MAX_TAKEN_BYTES})")


def _small(part: Selection) -> Selection:
    """Keep as much from the front as may be filtered at once."""
    fits = int(np.searchsorted(np.cumsum(part.sizes()), _FILTERED_AT_ONCE_BYTES, side="right"))
    return part[: max(1, fits)]


def _fitting(reader: SelectionReader, part: Selection, room: int, matching: Matching) -> tuple[bytes, int, int]:
    """Take what matches from the front of a part, as far as there is room: (batch, count, how many were looked at)."""
    batch, count = matching.apply(reader.batch(part))
    if count <= room:
        return batch, count, len(part)
    half = len(part) // 2
    batch, count, seen = _fitting(reader, part[:half], room, matching)
    if count == room:
        return batch, count, seen
    more, further, seen = _fitting(reader, part[half:], room - count, matching)
    return batch + more, count + further, half + seen
