"""From the parameters of a request to the query that is run: its time, its bounds, what its reader may read. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from event_store.engine.summaries import MAX_BUCKETS, step_for
from event_store.http.parameters import Given, duration, moment, whole
from event_store.http.refusals import ApiError, wrong
from event_store.query.parse import DEFAULT_SPAN_NS, parse
from event_store.query.shapes import completed
from event_store.query.syntax import And, Expr, In, Limit, Query, QuerySyntaxError, Sort, Span, Tail

_BUCKETS = 60
_MS = 1_000_000

Sources = Collection[str] | None
"""What somebody may read; None is everything."""


def query_of(given: Given, now_ns: int, sources: Sources) -> Query:
    """Read the query, over the time that was given beside it, of what may be read; a `Refusal` if it is none."""
    query = parsed(given.get("query", ""), now_ns)
    return replace(query, filter=readable(query.filter, sources), span=_span(query.span, given, now_ns))


def filter_of(given: Given, now_ns: int, sources: Sources) -> Expr:
    """Read a query that is a filter alone."""
    query = parsed(given.get("query", ""), now_ns)
    if query.pipeline:
        raise wrong("query", "a live tail takes a filter, without stages")
    return readable(query.filter, sources)


def parsed(text: str, now_ns: int) -> Query:
    """Parse a query; the `Refusal` names the column that is wrong."""
    try:
        return parse(text, now_ns)
    except QuerySyntaxError as error:
        raise ApiError("syntax", error.message, column=error.column, suggestion=error.suggestion) from None


def readable(filter_: Expr, sources: Sources) -> Expr:
    """Narrow a filter to what may be read: by what it means, not by its text."""
    return filter_ if sources is None else And((In("source_id", tuple(sorted(sources))), filter_))


def limited(query: Query, given: Given, most: int) -> tuple[Query, int]:
    """Return the query and the most rows of its answer; of events, when nothing says which, the newest are meant."""
    limit = whole(given, "limit", most, most)
    if "limit" in given and completed(query.pipeline) != query.pipeline:
        is_sorted = any(isinstance(stage, Sort) for stage in query.pipeline)
        query = replace(query, pipeline=(*query.pipeline, Limit(limit) if is_sorted else Tail(limit)))
    return query, limit


def step_of(given: Given, span: Span) -> int:
    """Return how wide buckets of time are to be: whole milliseconds."""
    step_ns = duration(given, "step") or step_for(span, whole(given, "buckets", _BUCKETS, MAX_BUCKETS))
    step_ns = max(step_ns // _MS, 1) * _MS
    count = -(-(span.end_ns - span.start_ns // step_ns * step_ns) // step_ns)
    if count > MAX_BUCKETS:
        raise wrong("step", f"that would be {count} buckets of time, and {MAX_BUCKETS} is the most")
    return step_ns


def _span(span: Span, given: Given, now_ns: int) -> Span:
    start, end = moment(given, "start", now_ns), moment(given, "end", now_ns)
    if end is None:
        end = span.end_ns if start is None or start < span.end_ns else now_ns
    if start is None:
        start = span.start_ns if span.start_ns < end else end - DEFAULT_SPAN_NS
    if start >= end:
        raise wrong("start", "the time ends before it begins")
    return Span(start, end)
