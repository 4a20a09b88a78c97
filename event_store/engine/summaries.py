"""What a page shows beside a list of events: how many there were over time, the top values of a field, the fields.

Each takes a query, of which the filter and the span count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from event_store.engine.engine import Cancel, Engine
from event_store.engine.result import Stats
from event_store.engine.watch import Limits
from event_store.model import FIELD, FIXED, NUMBER, RAW_MESSAGE, TAG, ColumnType, type_of
from event_store.query import syntax
from event_store.query.syntax import Aggregate, And, Exists, Not, Query, Span, Stage
from event_store.query.times import DAY_NS, SECOND_NS
from event_store.storage import Snapshot

MAX_BUCKETS = 2000
MAX_SERIES = 20
COUNTED_EVENTS = 100_000
"""So many events are looked at to say which fields there are."""

Kind = Literal["fixed", "tag", "field"]

_OTHERS = 0  # their rank
_STEPS_NS = (
    *(count * 10**power for power in range(9) for count in (1, 2, 5)),
    *(seconds * SECOND_NS for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600)),
    *(days * DAY_NS for days in (0.5, 1, 2, 7, 14, 28, 91, 364, 3640)),
)


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of one value of a field, a number for each bucket; `name` is None for events that lack the field."""

    name: Any
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeseries:
    """Counts over time: buckets of `step_ns`, the first of which begins at `start_ns`, at or before the span."""

    start_ns: int
    step_ns: int
    series: tuple[Series, ...]
    """The greatest first."""
    other: tuple[int, ...] | None
    """Of all values for which there is no series."""
    stats: Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """The top values of a field."""

    field: str
    values: tuple[tuple[Any, int], ...]
    other: int
    """Events that have another value."""
    missing: int
    """Events that have none."""
    total: int
    stats: Stats


@dataclass(frozen=True, slots=True)
class FieldCount:
    """A field, and how many of the events that were looked at have it."""

    name: str
    kind: Kind
    type: ColumnType
    count: int


def step_for(span: Span, buckets: int) -> int:
    """Return the least round width, in nanoseconds, that makes no more than about so many buckets of a span."""
    least = (span.end_ns - span.start_ns) / max(buckets, 1)
    return int(next((step for step in _STEPS_NS if step >= least), _STEPS_NS[-1]))


def timeseries(
    engine: Engine,
    snapshot: Snapshot,
    query: Query,
    step_ns: int,
    by: str | None = None,
    limits: Limits | None = None,
    cancel: Cancel = None,
) -> Timeseries:
    """Count events over time; the most frequent values of `by` have a series each.

    ValueError if the step makes more than MAX_BUCKETS buckets of the span.
    """
    start_ns = query.span.start_ns // step_ns * step_ns
    buckets = -(-(query.span.end_ns - start_ns) // step_ns)
    if buckets > MAX_BUCKETS:
        raise ValueError(f"that would be {buckets} buckets of time, and {MAX_BUCKETS} is the most: take a wider step")
    stage = syntax.Series(by, step_ns, MAX_SERIES) if by else Aggregate(("count",), per_ns=step_ns)
    limits = replace(limits or Limits(), rows=(MAX_SERIES + 1) * max(buckets, 1))  # as many as there can be
    result = engine.run(snapshot, _with(query, stage), limits, cancel=cancel)
    times = result.table["time"].cast("int64").to_pylist()
    names = result.table["held"].to_pylist() if by else [None] * len(times)
    ranks = result.table["rank"].to_pylist() if by else [1] * len(times)
    called = dict(zip(ranks, names, strict=True))
    counts = {rank: [0] * buckets for rank in called}
    for moment, rank, count in zip(times, ranks, result.table["count"].to_pylist(), strict=True):
        counts[rank][(moment - start_ns) // step_ns] += count
    other = counts.pop(_OTHERS, None)
    return Timeseries(
        start_ns=start_ns,
        step_ns=step_ns,
        series=tuple(Series(called[rank], tuple(values)) for rank, values in sorted(counts.items())),
        other=tuple(other) if other is not None else None,
        stats=result.stats,
    )


def facets(
    engine: Engine,
    snapshot: Snapshot,
    query: Query,
    field: str,
    limit: int = 10,
    limits: Limits | None = None,
    cancel: Cancel = None,
) -> Facets:
    """Count the values of a field, and say which are the most frequent; within the time of one query."""
    limits = (limits or Limits()).shared()
    result = engine.run(snapshot, _with(query, Aggregate(("count",), by=(field,))), limits, cancel=cancel)
    counts = dict(zip(result.table[0].to_pylist(), result.table["count"].to_pylist(), strict=True))
    total, missing = sum(counts.values()), counts.pop(None, 0)
    if result.warnings and result.table.num_rows == limits.rows:  # there are more values than that
        total = _count(engine, snapshot, query, limits, cancel)
        lacking = replace(query, filter=And((query.filter, Not(Exists(field)))))
        missing = _count(engine, snapshot, lacking, limits, cancel)
    top = tuple(counts.items())[:limit]
    shown = sum(count for _, count in top)
    return Facets(
        field=field, values=top, other=total - missing - shown, missing=missing, total=total, stats=result.stats
    )


def field_counts(
    engine: Engine, snapshot: Snapshot, query: Query, limits: Limits | None = None, cancel: Cancel = None
) -> tuple[FieldCount, ...]:
    """Say which fields the newest events have, COUNTED_EVENTS of them at most; the fixed ones first."""
    counts, _ = engine.counts(snapshot, query, COUNTED_EVENTS, limits, cancel=cancel)
    return fields_of(counts)


def fields_of(counts: Mapping[str, int]) -> tuple[FieldCount, ...]:
    """Make fields of counts of columns; those that no event has are left out."""
    fixed = [FieldCount(name, "fixed", type_, counts[name]) for name, type_ in FIXED.items() if counts.get(name)]
    found: Counter[tuple[Kind, str]] = Counter()
    types: dict[tuple[Kind, str], set[ColumnType]] = {}
    for column, count in counts.items():
        if count and column not in FIXED and column != RAW_MESSAGE:
            is_field = column.startswith(FIELD)
            kind: Kind = "field" if is_field else "tag"
            key = kind, (column.removesuffix(NUMBER) if is_field else column)[len(TAG) :]
            found[key] += count
            types.setdefault(key, set()).add(type_of(column))
    others = [
        FieldCount(name, kind, types[kind, name].pop() if len(types[kind, name]) == 1 else ColumnType.TEXT, count)
        for (kind, name), count in sorted(found.items(), key=lambda one: (-one[1], one[0]))
    ]
    return (*fixed, *others)


def _count(engine: Engine, snapshot: Snapshot, query: Query, limits: Limits | None, cancel: Cancel) -> int:
    table = engine.run(snapshot, _with(query, Aggregate(("count",))), limits, cancel=cancel).table
    return int(table["count"][0].as_py())


def _with(query: Query, stage: Stage) -> Query:
    return replace(query, pipeline=(stage,))
