"""What a page shows beside the events."""

from pathlib import Path
from typing import Any

import pytest

from event_store.engine import Engine, Limits, Result, facets, field_counts, step_for, timeseries
from event_store.engine.summaries import MAX_BUCKETS, MAX_SERIES, FieldCount, Series, fields_of
from event_store.model import ColumnType
from event_store.query.syntax import Query, Span
from event_store.storage import Snapshot
from tests.unit.event_store.engine.stores import SECOND, asked, snapshot_of
from tests.unit.event_store.storage.events import START


def within(text: str, start_s: int, end_s: int) -> Query:
    query = asked(text)
    return Query(query.filter, Span(START + start_s * SECOND, START + end_s * SECOND))


def test_counts_over_time(engine: Engine, snapshot: Snapshot) -> None:
    found = timeseries(engine, snapshot, within("", 0, 8), 2 * SECOND)

    assert found.start_ns == START
    assert found.series == (Series(None, (2, 2, 2, 0)),)
    assert found.other is None
    assert found.stats.rows_scanned == 6


def test_a_series_for_each_value(engine: Engine, snapshot: Snapshot) -> None:
    found = timeseries(engine, snapshot, within("", 1, 6), 2 * SECOND, by="app")

    assert found.start_ns == START  # the first bucket begins before the span
    assert found.series == (Series(None, (0, 2, 1)), Series("api", (1, 0, 0)), Series("web", (0, 0, 1)))


def test_no_more_series_than_can_be_told_apart(tmp_path: Path) -> None:
    count = MAX_SERIES + 5
    many = snapshot_of(tmp_path, {"t_app": [f"a{number}" for number in range(count)] + ["a3"]})
    engine = Engine(tmp_path, threads=1)

    found = timeseries(engine, many, within("", 0, 40), 60 * SECOND, by="app")

    assert len(found.series) == MAX_SERIES
    assert found.series[0] == Series("a3", (2,))
    assert found.other == (5,)
    engine.close()


def test_however_many_values_there_are_the_rest_is_summed(tmp_path: Path) -> None:
    many = snapshot_of(tmp_path, {"t_app": [f"a{number}" for number in range(300)] + ["a7", None, None, None]})
    engine = Engine(tmp_path, threads=1)

    found = timeseries(engine, many, within("", 0, 400), 200 * SECOND, by="app", limits=Limits(rows=10))

    assert found.series[:2] == (Series(None, (0, 3)), Series("a7", (1, 1)))
    assert len(found.series) == MAX_SERIES
    assert found.other is not None
    shown = [found.other, *(one.values for one in found.series)]
    assert [sum(column) for column in zip(*shown, strict=True)] == [200, 104]
    engine.close()


def test_no_more_buckets_than_can_be_seen(engine: Engine, snapshot: Snapshot) -> None:
    with pytest.raises(ValueError, match="take a wider step"):
        timeseries(engine, snapshot, within("", 0, MAX_BUCKETS + 1), SECOND)


@pytest.mark.parametrize(
    ("seconds", "buckets", "expected_s"), [(3600, 60, 60), (3601, 60, 120), (60, 60, 1), (86400, 60, 1800)]
)
def test_step_for(seconds: int, buckets: int, expected_s: int) -> None:
    assert step_for(Span(0, seconds * SECOND), buckets) == expected_s * SECOND


def test_steps_are_never_too_many() -> None:
    for span in (1, 7, 10**9, 10**15, 10**18, 9 * 10**18):
        assert span / step_for(Span(0, span), 60) <= 60


def test_top_values(engine: Engine, snapshot: Snapshot) -> None:
    found = facets(engine, snapshot, asked(""), "app", 1)

    assert found.values == (("web", 2),)
    assert (found.other, found.missing, found.total) == (1, 3, 6)


def test_top_values_of_more_than_can_be_counted(engine: Engine, snapshot: Snapshot) -> None:
    found = facets(engine, snapshot, asked(""), "message", 1, Limits(rows=2))
    lacking = facets(engine, snapshot, asked(""), "app", 1, Limits(rows=1))

    assert (len(found.values), found.other, found.missing, found.total) == (1, 5, 0, 6)
    assert (lacking.missing, lacking.total) == (3, 6)


def test_the_fields_that_events_have(engine: Engine, snapshot: Snapshot) -> None:
    found = field_counts(engine, snapshot, asked("error"))

    assert FieldCount("message", "fixed", ColumnType.TEXT, 3) in found
    assert FieldCount("app", "tag", ColumnType.TEXT, 2) in found
    assert FieldCount("status", "field", ColumnType.NUMBER, 1) in found
    assert "duration" not in [field.name for field in found]


def test_fields_in_the_map_are_counted(tmp_path: Path) -> None:
    odd = snapshot_of(tmp_path, {"attrs": [[("t_zone", "a"), ("f_lat$num", "5")], [("t_zone", "b")]]})
    engine = Engine(tmp_path, threads=1)

    found = field_counts(engine, odd, asked(""))

    assert FieldCount("zone", "tag", ColumnType.TEXT, 2) in found
    assert FieldCount("lat", "field", ColumnType.NUMBER, 1) in found
    engine.close()


def test_a_field_that_is_text_and_number_is_one() -> None:
    counts = {"f_x": 2, "f_x$num": 3, "t_x": 1, "time": 5, "seq": 5, "message_raw": 1, "name": 0}

    assert fields_of(counts) == (
        FieldCount("time", "fixed", ColumnType.TIME, 5),
        FieldCount("seq", "fixed", ColumnType.INTEGER, 5),
        FieldCount("x", "field", ColumnType.TEXT, 5),
        FieldCount("x", "tag", ColumnType.TEXT, 1),
    )


def test_counting_what_is_too_much_takes_no_longer_than_one_query(
    engine: Engine, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Limits] = []
    run = engine.run

    def noting(snapshot: Snapshot, query: Query, limits: Limits, **others: Any) -> Result:
        given.append(limits)
        return run(snapshot, query, limits, **others)

    monkeypatch.setattr(engine, "run", noting)
    facets(engine, snapshot, within("", 0, 8), "message", limits=Limits(rows=1))
    assert len(given) == 3
    assert given[0].ends is not None
    assert {limits.ends for limits in given} == {given[0].ends}
