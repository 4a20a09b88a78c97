"""What the event store's API answers about events that are held in a list. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from event_store.model import FIXED
from event_store.query.parse import parse
from event_store.query.syntax import Aggregate, Query, Span, Top
from event_store.query.times import format_time, parse_time
from tests.fakes.event_filter import Event, holds, value_of

Answer: TypeAlias = dict[str, Any]
MS_NS = 1_000_000
_COLUMNS = (
    "time",
    "source_id",
    "instance_id",
    "type",
    "severity",
    "stream",
    "message",
    "name",
    "value",
    "unit",
    "duration",
    "seq",
)
_LONG = "%Y-%m-%dT%H:%M:%S"


def iso(time_ns: int) -> str:
    """Write a time as the API does."""
    whole = datetime.fromtimestamp(time_ns // 10**9, UTC)
    return f"{whole:{_LONG}}.{time_ns % 10**9:09d}Z"


class Question:
    """A query with its parameters, and the events that it is about."""

    def __init__(self, parameters: Mapping[str, str], events: Sequence[Event], now_ns: int) -> None:
        self.parameters = parameters
        self.query: Query = parse(parameters.get("query", ""), now_ns)
        ends = {name: parse_time(parameters[name], now_ns) for name in ("start", "end") if name in parameters}
        self.span = Span(ends.get("start", self.query.span.start_ns), ends.get("end", self.query.span.end_ns))
        self.within = [
            each for each in events if self.span.start_ns <= parse_time(each["time"], now_ns) < self.span.end_ns
        ]
        self.found = [event for event in self.within if holds(self.query.filter, event)]

    def query_answer(self) -> Answer:
        """Answer /api/query; of stages, `count` and `top` are known."""
        match self.query.pipeline:
            case (Aggregate(("count",), None, by, per_ns), *_):
                columns, rows = _counted(self.found, by, per_ns)
            case (Top(count, field, where), *_):
                values = Counter(value_of(event, field) for event in self.found if holds(where, event)).most_common(
                    count
                )
                columns, rows = [(field, "text"), ("count", "integer")], [list(pair) for pair in values]
            case _:
                newest = self.found[-int(self.parameters.get("limit", "100")) :]
                columns = [*((name, FIXED[name].value) for name in _COLUMNS), ("fields", "object")]
                rows = [[*(event.get(name) for name in _COLUMNS), event["fields"]] for event in newest]
        return {
            "columns": [{"name": name, "type": kind} for name, kind in columns],
            "rows": rows,
            "warnings": [],
            "span": {"start": format_time(self.span.start_ns), "end": format_time(self.span.end_ns)},
            "stats": {
                "rows_scanned": len(self.within),
                "bytes_scanned": 0,
                "segments": 1,
                "segments_skipped": 0,
                "elapsed_ms": 1.5,
            },
        }

    def timeseries(self) -> Answer:
        """Answer /api/timeseries, with `buckets`."""
        start, buckets, by = self.span.start_ns, int(self.parameters["buckets"]), self.parameters["by"]
        step_ms = max((self.span.end_ns - start) // MS_NS // buckets, 1)
        series: dict[Any, list[int]] = {}
        for event in self.found:
            at = min((parse_time(event["time"], 0) - start) // MS_NS // step_ms, buckets - 1)
            series.setdefault(value_of(event, by), [0] * buckets)[at] += 1
        times = [start // MS_NS + step_ms * at for at in range(buckets)]
        named = [{"name": name, "values": values} for name, values in series.items()]
        return {"start": iso(start), "step_ms": step_ms, "times": times, "series": named, "stats": {}}

    def facets(self) -> Answer:
        """Answer /api/facets."""
        field = self.parameters["field"]
        counts = Counter(value_of(event, field) for event in self.found)
        missing = counts.pop(None, 0)
        shown = counts.most_common(int(self.parameters.get("limit", "10")))
        other = len(self.found) - missing - sum(count for _, count in shown)
        values = [{"value": value, "count": count} for value, count in shown]
        return {"field": field, "values": values, "other": other, "missing": missing, "total": len(self.found)}

    def fields(self) -> Answer:
        """Answer /api/fields; parsed fields are those with numbers, tags the others."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for event in self.found:
            counts.update(("fixed", name, FIXED[name].value) for name in _COLUMNS if event.get(name) is not None)
            for name, value in event["fields"].items():
                kind = ("tag", name, "text") if isinstance(value, str) else ("field", name, "number")
                counts[kind] += 1
        found = [{"name": name, "kind": kind, "type": of, "count": count} for (kind, name, of), count in counts.items()]
        return {"fields": found}


def _counted(
    events: Sequence[Event], by: Sequence[str], per_ns: int | None
) -> tuple[list[tuple[str, str]], list[list[Any]]]:
    def group(event: Event) -> tuple[Any, ...]:
        bucket = [iso(parse_time(event["time"], 0) // per_ns * per_ns)] if per_ns else []
        return (*bucket, *(value_of(event, field) for field in by))

    counts = Counter(map(group, events))
    times = [("time", "time")] if per_ns else []
    columns = [*times, *((field, "text") for field in by), ("count", "integer")]
    return columns, [[*key, count] for key, count in sorted(counts.items(), key=lambda each: tuple(map(str, each[0])))]
