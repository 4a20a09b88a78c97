"""Counts as the API has them: over time, of the values of a field, of fields. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from event_store.engine import Stats
from event_store.engine.summaries import Facets, FieldCount, Timeseries
from event_store.http import plain
from event_store.http.events import is_taken
from event_store.model import FIELD, TAG

REST = "other"
"""The series that the values share for which there is none of their own."""
_MS = 1_000_000


def stats_json(stats: Stats, *, in_full: bool = True) -> dict[str, Any]:
    """Say what it took; not in full for who may not read everything: then nothing of what is not theirs."""
    elapsed = {"elapsed_ms": round(stats.elapsed * 1000, 3)}
    if not in_full:
        return elapsed
    return {
        "rows_scanned": stats.rows_scanned,
        "bytes_scanned": stats.bytes_scanned,
        "segments": stats.segments,
        "segments_skipped": stats.segments_skipped,
        **elapsed,
    }


def timeseries_json(found: Timeseries, end_ns: int, *, has_names: bool, in_full: bool = True) -> dict[str, Any]:
    """Write counts over time; events that lack the field are the series null."""
    count = max(-(-(end_ns - found.start_ns) // found.step_ns), 1)
    series = [{"name": _text(each.name), "values": list(each.values)} for each in found.series]
    if not has_names:
        values = series[0]["values"] if series else [0] * count
        series = [{"name": "count", "values": values}]
    if found.other is not None:
        series.append({"name": REST, "values": list(found.other)})
    return {
        "start": plain.long_time(found.start_ns),
        "step_ms": found.step_ns // _MS,
        "times": [(found.start_ns + at * found.step_ns) // _MS for at in range(count)],
        "series": series,
        "stats": stats_json(found.stats, in_full=in_full),
    }


def facets_json(found: Facets, *, in_full: bool = True) -> dict[str, Any]:
    """Write the most frequent values of a field."""
    return {
        "field": found.field,
        "values": [{"value": _shown(value), "count": count} for value, count in found.values],
        "other": found.other,
        "missing": found.missing,
        "total": found.total,
        "stats": stats_json(found.stats, in_full=in_full),
    }


def fields_json(found: Iterable[FieldCount]) -> dict[str, Any]:
    """Write which fields there are, under the names by which a query finds them."""
    return {
        "fields": [
            {"name": _name(each), "kind": each.kind, "type": each.type.value, "count": each.count} for each in found
        ]
    }


def _name(each: FieldCount) -> str:
    if each.kind == "fixed" or not is_taken(each.name):
        return each.name
    return (TAG if each.kind == "tag" else FIELD) + each.name


def _text(value: Any) -> str | None:
    return None if value is None else str(_shown(value))


def _shown(value: Any) -> Any:
    return plain.shortest(value) if isinstance(value, float) else plain.shown(value)
