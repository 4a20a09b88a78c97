"""Counts for the page."""

from event_store.engine import Stats
from event_store.engine.summaries import Facets, FieldCount, Series, Timeseries
from event_store.http.counted import facets_json, fields_json, stats_json, timeseries_json
from event_store.model import ColumnType

STATS = Stats(rows_scanned=5, bytes_scanned=6, segments=1, segments_skipped=2, elapsed=0.0015)
MINUTE = 60 * 10**9


def test_what_it_took() -> None:
    said = {"rows_scanned": 5, "bytes_scanned": 6, "segments": 1, "segments_skipped": 2, "elapsed_ms": 1.5}
    assert stats_json(STATS) == said
    assert stats_json(STATS, in_full=False) == {"elapsed_ms": 1.5}


def test_counts_over_time_have_a_number_for_each_bucket() -> None:
    series = (Series("error", (1, 2)), Series(None, (0, 3)), Series(500.0, (1, 0)))
    found = Timeseries(start_ns=MINUTE, step_ns=MINUTE, series=series, other=(4, 4), stats=STATS)

    said = timeseries_json(found, 3 * MINUTE, has_names=True)

    assert (said["start"], said["step_ms"], said["times"]) == (
        "1970-01-01T00:01:00.000000000Z",
        60_000,
        [60_000, 120_000],
    )
    assert [(each["name"], each["values"]) for each in said["series"]] == [
        ("error", [1, 2]),
        (None, [0, 3]),
        ("500", [1, 0]),
        ("other", [4, 4]),
    ]


def test_without_a_field_there_is_one_series_of_nothing_too() -> None:
    found = Timeseries(start_ns=0, step_ns=MINUTE, series=(), other=None, stats=STATS)
    assert timeseries_json(found, 2 * MINUTE, has_names=False)["series"] == [{"name": "count", "values": [0, 0]}]


def test_values_of_a_field() -> None:
    found = Facets(field="status", values=((200.0, 3), ("x", 1)), other=2, missing=1, total=7, stats=STATS)
    said = facets_json(found)
    assert said["values"] == [{"value": 200, "count": 3}, {"value": "x", "count": 1}]
    assert (said["field"], said["other"], said["missing"], said["total"]) == ("status", 2, 1, 7)


def test_fields_are_called_as_queries_call_them() -> None:
    found = [
        FieldCount("message", "fixed", ColumnType.TEXT, 4),
        FieldCount("app", "tag", ColumnType.TEXT, 3),
        FieldCount("msg", "field", ColumnType.TEXT, 2),
        FieldCount("status", "field", ColumnType.NUMBER, 1),
    ]
    assert [(each["name"], each["kind"], each["type"], each["count"]) for each in fields_json(found)["fields"]] == [
        ("message", "fixed", "text", 4),
        ("app", "tag", "text", 3),
        ("f_msg", "field", "text", 2),
        ("status", "field", "number", 1),
    ]
