"""Queries that list events: what their answer consists of is found first, the newest segments first. Pure.

A list has an end, said or implied, so that few columns tell which events are in it; only those are then read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from event_store.engine.found import Places
from event_store.query.shapes import completed
from event_store.query.syntax import Fields, Head, Limit, Query, Sort, Span, Stage, Tail
from event_store.storage import Segment

_PLACE = Fields(("time", "seq"))
_MOST_AT_ONCE = 16
_GLIMPSES = (64, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A query's list of events, before anything is made of it."""

    query: Query
    """It asks for the times and places of the events."""
    count: int
    is_sorted: bool
    """By something else than time: then all events have to be looked at, and the rest here is not for it."""
    newest_first: bool

    def steps(self, segments: Sequence[Segment]) -> Iterator[list[Segment]]:
        """Yield segments in the order in which they are to be looked into: a few, then more."""
        waiting, size = self.ordered(segments), 1
        while waiting:
            yield waiting[:size]
            del waiting[:size]
            size = min(2 * size, _MOST_AT_ONCE)

    def ordered(self, segments: Sequence[Segment]) -> list[Segment]:
        """Sort segments so that those whose events come first in the list are first."""
        if self.newest_first:
            return sorted(segments, key=lambda one: one.max_time, reverse=True)
        return sorted(segments, key=lambda one: one.min_time)

    def glimpses(self, segments: Sequence[Segment]) -> Iterator[Glimpse]:
        """Yield where to look first, each time a little further back."""
        if not self.newest_first or not segments:
            return
        newest, *others = self.ordered(segments)
        span, end_ns = self.query.span, min(newest.max_time + 1, self.query.span.end_ns)
        for part in _GLIMPSES:
            start_ns = end_ns - (newest.max_time - newest.min_time) // part
            if start_ns > max(newest.min_time, span.start_ns):
                query = replace(self.query, span=Span(start_ns, span.end_ns))
                yield Glimpse(query=query, segment=newest, next=others[0] if others else None)

    def is_settled(self, best: Best, next_: Segment) -> bool:
        """See that neither this segment nor those behind it can change the list."""
        if len(best.seqs) < self.count:
            return False
        return bool(next_.max_time < best.times.min() if self.newest_first else next_.min_time > best.times.max())


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """A look at the last part of the newest segment: for events that are found often, that is enough."""

    query: Query
    segment: Segment
    next: Segment | None
    """The one whose events are the newest but for this segment's."""

    def is_enough(self, best: Best, listing: Listing) -> bool:
        """See that no event that was not looked at can change the list."""
        if len(best.seqs) < listing.count or best.times.min() < self.query.span.start_ns:
            return False
        return self.next is None or listing.is_settled(best, self.next)


@dataclass(frozen=True, slots=True)
class Best:
    """The events that are in the list as far as is known."""

    times: np.ndarray[Any, np.dtype[np.int64]]
    seqs: Places

    @classmethod
    def empty(cls) -> Best:
        """None as yet."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def of(cls, table: pa.Table) -> Best:
        """Read the answer of a listing's query."""
        return cls(table["time"].cast(pa.int64()).to_numpy(), table["seq"].to_numpy())

    def with_more(self, more: Best, listing: Listing) -> Best:
        """Merge what was found in other segments, and keep as many as are listed."""
        times, seqs = np.concatenate([self.times, more.times]), np.concatenate([self.seqs, more.seqs])
        order = np.lexsort((seqs, times))
        order = order[-listing.count :] if listing.newest_first else order[: listing.count]
        return Best(times[order], seqs[order])


def listing_of(query: Query) -> Listing | None:
    """Find the list that a query begins with; None if it begins with figures of all events."""
    stages: list[Stage] = []
    for stage in completed(query.pipeline):
        match stage:
            case Fields():
                continue
            case Sort():
                stages.append(stage)
            case Tail(count) | Head(count) | Limit(count):
                return Listing(
                    query=replace(query, pipeline=(*stages, stage, _PLACE)),
                    count=count,
                    is_sorted=bool(stages),
                    newest_first=isinstance(stage, Tail),
                )
            case _:
                return None
    return None
