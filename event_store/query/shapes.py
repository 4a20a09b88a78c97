"""What rows each stage gives: events, whose fields only the store knows, or a table, whose columns the query says."""

from __future__ import annotations

from event_store.query.syntax import Aggregate, Fields, Head, Histogram, Limit, Series, Sort, Stage, Tail, Top

_MEASURES = ("rate", "sum", "avg", "min", "max", "distinct", "p50", "p90", "p95", "p99", "p99.9")
STAGES = ("tail", "head", "limit", "sort", "fields", "count", "top", "histogram", *_MEASURES)
"""What a stage may begin with; of the percentiles, the usual ones."""
DEFAULT_ROWS = 100
"""How many events are shown when no stage says how many."""
DEFAULT_TOP = 10

EVENTS = None
"""The shape of events: any field."""


def shape_after(stage: Stage, before: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the columns of what the stage gives, from those of what it takes."""
    match stage:
        case Fields(names):
            return names
        case Aggregate(measures, _, by, per_ns):
            return (*(("time",) if per_ns else ()), *by, *measures)
        case Top(_, field, _):
            return (field, "count")
        case Histogram():
            return ("from", "to", "count")
        case Series():
            return ("time", "held", "rank", "count")
        case _:
            return before


def completed(pipeline: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Return the stages with the one that is implied: a list of events ends, when nothing says where.

    The newest events are kept, or the first ones when they are sorted.
    """
    aggregates = any(isinstance(stage, Aggregate | Top | Histogram | Series) for stage in pipeline)
    if aggregates or any(isinstance(stage, Tail | Head | Limit) for stage in pipeline):
        return pipeline
    is_sorted = any(isinstance(stage, Sort) for stage in pipeline)
    return (*pipeline, Limit(DEFAULT_ROWS) if is_sorted else Tail(DEFAULT_ROWS))
