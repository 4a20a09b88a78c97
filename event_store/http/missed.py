"""What a live tail has missed: the events behind the place at which its client stopped to read. Blocks.

A place is where an event stands in the order in which the store took them, however wrong the clocks of those who sent
them. The id of a server-sent event names the place behind it; a client that shows it again goes on there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import orjson
import pyarrow as pa

from event_store.engine import QueryTimeout, QueryTooLarge, Result
from event_store.http import events
from event_store.http.refusals import wrong
from event_store.query.syntax import Aggregate, And, Compare, Expr, Limit, Query, Sort, SortKey, Span
from event_store.query.times import DAY_NS
from event_store.storage import Snapshot
from plumbing.http.sse import event

EVER = Span(-(2**63) + DAY_NS, 2**63 - DAY_NS)
"""As much of it as engines have times for."""
_ID = b"id: "
_MOST_DIGITS = 18
_NEWEST = Sort((SortKey("seq", descending=True),))

Run = Callable[[Snapshot, Query, int], Result]
"""Runs a query, with so many rows at most."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What comes before a tail."""

    end: int
    """Where the tail begins: what stands before it was read already, or is here."""
    events: Sequence[bytes] = ()
    """As server-sent events, in the order in which the store took them."""
    dropped: int = 0
    """How many there were before these, and are not here; at most, if nobody had the time to count them."""


def place_of(last_id: str) -> int | None:
    """Read the id that a client shows, None if it shows none; raises the `Refusal` of what is no id of ours."""
    if not last_id:
        return None
    if not (last_id.isascii() and last_id.isdecimal() and len(last_id) <= _MOST_DIGITS):
        raise wrong("Last-Event-ID", "is no id that came from here")
    return int(last_id)


def written(table: pa.Table) -> list[bytes]:
    """Write the events of a table as server-sent events."""
    found = events.objects(table)
    return [event(orjson.dumps(each), name="event", place=str(each["seq"] + 1)) for each in found]


def place_in(written: bytes) -> int:
    """Return the place behind the event that a server-sent event is of."""
    return int(written[len(_ID) : written.index(b"\n")])


def missed(run: Run, snapshot: Snapshot, filter_: Expr, place: int, end: int, most: int) -> Missed:
    """Find the events from `place` on, the newest `most` of them, fewer if those are too large for an answer.

    A place that the store has not reached is one of another store: then it goes on from the beginning of this. If it
    takes longer than a query may, the tail goes on all the same, and all that stands there counts as dropped.
    """
    if place > end:
        place = 0
    try:
        return _missed(run, snapshot, filter_, place, end, most)
    except QueryTimeout:
        return Missed(end, dropped=end - place)


def _missed(run: Run, snapshot: Snapshot, filter_: Expr, place: int, end: int, most: int) -> Missed:
    segments = tuple(one for one in snapshot.segments if one.max_seq >= place)
    behind = replace(snapshot, segments=segments)
    bounds = Compare("seq", ">=", str(place)), Compare("seq", "<", str(end))
    query = Query(And((*bounds, filter_)), EVER)
    while True:
        try:
            found = run(behind, replace(query, pipeline=(_NEWEST, Limit(most))), most).table
            break
        except QueryTooLarge:
            if most == 1:
                raise
            most = max(most // 10, 1)
    total = found.num_rows
    if total == most:  # there may be more
        [total] = run(behind, replace(query, pipeline=(Aggregate(("count",)),)), 1).table["count"].to_pylist()
    return Missed(end, written(found)[::-1], total - found.num_rows)
