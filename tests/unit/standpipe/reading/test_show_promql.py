"""Results of queries, for people and for programs."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from standpipe.reading.show_promql import MAX_PLOTTED, Series, in_csv, in_table, name_of, parse_result, plot


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _answer(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def _wave(count: int) -> list[Series]:
    return [
        Series(
            labels={"source_id": "shop", "instance_id": str(index)},
            points=[(1_763_726_400 + 15 * step, str((step + index) % 7)) for step in range(50)],
        )
        for index in range(count)
    ]


def _plot(series: list[Series], **options: Any) -> str:
    return plot(series, "cpu", **{"width": 80, "height": 24, "coloured": False, **options})


@pytest.mark.parametrize(
    ("kind", "result", "labels", "points"),
    [
        ("scalar", [1.5, "2"], {}, [(1.5, "2")]),
        ("vector", [{"metric": {"a": "b"}, "value": [1, "NaN"]}], {"a": "b"}, [(1, "NaN")]),
        ("matrix", [{"metric": {}, "values": [[1, "2"], [2, "3"]]}], {}, [(1, "2"), (2, "3")]),
    ],
)
def test_an_answer_is_read(kind: str, result: Any, labels: Any, points: Any) -> None:
    assert parse_result(_answer(kind, result)) == [Series(labels=labels, points=points)]


def test_an_answer_may_be_empty() -> None:
    assert parse_result(_answer("vector", [])) == []


def test_a_table_has_a_column_for_each_label() -> None:
    series = [
        Series(labels={"source_id": "shop", "b": "x"}, points=[(1, "10.5")]),
        Series(labels={"source_id": "a\x1b"}, points=[(1, "7")]),
    ]
    assert in_table(series).splitlines() == ["b  source_id  value", "x  shop        10.5", r"   a\x1b          7"]


def test_csv_has_a_row_for_each_time_and_a_column_for_each_series() -> None:
    series = [
        Series(labels={"a": 'say "hi"'}, points=[(0, "1"), (15, "2")]),
        Series(labels={}, points=[(15, "3"), (30.5, "4")]),
    ]
    assert in_csv(series).splitlines() == [
        r'time,"{a=""say \""hi\""""}",{}',
        "1970-01-01T00:00:00Z,1,",
        "1970-01-01T00:00:15Z,2,3",
        "1970-01-01T00:00:30.500Z,,4",
    ]


def test_labels_are_written_as_in_a_query() -> None:
    assert name_of({"b": "2", "a": '\\"'}) == r'{a="\\\"",b="2"}'


def test_a_plot_fits_the_terminal_and_names_its_series_by_what_differs() -> None:
    lines = _plot(_wave(3)).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[0].strip() == "cpu"
    assert lines[-3:] == ['•  {instance_id="0"}', '×  {instance_id="1"}', '+  {instance_id="2"}']
    assert "12:00:00" in lines[-4]


def test_a_plot_without_colours_has_no_escape_sequences() -> None:
    assert "\x1b" not in _plot(_wave(2))


def test_a_coloured_legend_shows_the_colour_of_its_line() -> None:
    text = _plot(_wave(2), coloured=True)
    for colour in re.findall(r"\x1b\[38;5;(\d+)m━━", text):
        assert text.count(f"\x1b[38;5;{colour}m") > 5


def test_more_series_than_can_be_told_apart_are_counted() -> None:
    assert _plot(_wave(MAX_PLOTTED + 2)).splitlines()[-1] == "and 2 more, which are not drawn"


def test_a_plot_leaves_out_what_is_no_number() -> None:
    points = [(0.0, "NaN"), (1.0, "+Inf"), (2.0, "5")]
    assert "•" in _plot([Series(labels={}, points=points)])


def test_there_may_be_nothing_to_draw() -> None:
    assert _plot([Series(labels={}, points=[(0.0, "NaN")])]) == "no numbers to draw\n"
