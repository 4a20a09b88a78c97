"""Events as lines, figures as tables and plots."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standpipe.reading.show import COLOURED
from standpipe.reading.show_events import Answer, event_line, in_plot, in_table, nanoseconds, parse_answer
from tests.unit.standpipe.reading.store_in_memory import COUNTS, answer_of, event


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def table(*columns: tuple[str, str], rows: list[list[Any]]) -> Answer:
    return Answer(columns=columns, rows=rows, warnings=())


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"message": "hello\x1b[2J\n"}, "12:00:01.000 web/0                LOG     hello\\x1b[2J"),
        ({"severity": "error"}, "12:00:01.000 web/0                ERROR   hello"),
        (
            {"message": None, "type": "gauge", "name": "cpu", "value": 5.0, "unit": "%"},
            "12:00:01.000 web/0                GAUGE   cpu:5 %",
        ),
        (
            {"message": None, "type": "counter", "name": "orders", "value": 7.0},
            "12:00:01.000 web/0                COUNTER orders:7",
        ),
        (
            {"message": None, "type": "timer", "name": "http", "duration": 1_500_000},
            "12:00:01.000 web/0                TIMER   http 1.5 ms",
        ),
        ({"type": "event", "name": "deployed"}, "12:00:01.000 web/0                EVENT   deployed:hello"),
    ],
)
def test_an_event_is_one_line(said: dict[str, Any], line: str) -> None:
    assert event_line({**event(1), **said}) == line


def test_errors_are_coloured() -> None:
    assert f"{COLOURED.alarm}hello" in event_line(event(1, severity="fatal"), COLOURED)
    assert COLOURED.alarm not in event_line(event(1, severity="info"), COLOURED)


def test_a_table_has_its_numbers_to_the_right() -> None:
    assert in_table(parse_answer(COUNTS)) == "severity   count\nerror          3\n               1\n"


def test_times_are_short_and_nothing_can_move_the_cursor() -> None:
    shown = in_table(
        table(
            ("time", "time"), ("a\x1b", "text"), ("n", "number"), rows=[["2026-01-31T12:00:00.500000000Z", "\x1b", 2.0]]
        )
    )
    assert shown.splitlines()[1].split() == ["2026-01-31T12:00:00.5Z", "\\x1b", "2"]
    assert "\x1b" not in shown


def test_a_long_row_is_folded_on_a_terminal_alone() -> None:
    wide = table(("a", "text"), rows=[["word " * 30]])
    assert len(in_table(wide).splitlines()) == 2
    assert len(in_table(wide, 40).splitlines()) > 3


def test_what_is_over_time_is_plotted_by_group() -> None:
    rows = [[f"2026-01-31T12:0{n}:00.000000000Z", kind, n] for n in range(3) for kind in ("a", "b")]
    answer = table(("time", "time"), ("kind", "text"), ("count", "integer"), rows=rows)
    assert answer.is_over_time
    drawn = in_plot(answer, "title", width=60, height=15, coloured=False)
    assert "title" in drawn.splitlines()[0]
    assert drawn.splitlines()[-2:] == ['•  {kind="a"}', '×  {kind="b"}']


def test_several_figures_are_lines_of_their_own() -> None:
    rows = [[f"2026-01-31T12:0{n}:00.000000000Z", 1.0, None] for n in range(2)]
    answer = table(("time", "time"), ("p50", "number"), ("p99", "number"), rows=rows)
    assert in_plot(answer, "t", width=60, height=15, coloured=False).splitlines()[-1] == '•  {value="p50"}'


@pytest.mark.parametrize(
    "answer",
    [
        parse_answer(COUNTS),
        parse_answer(answer_of(event(1), event(2))),
        table(("time", "time"), ("count", "integer"), rows=[["2026-01-31T12:00:00Z", 1]]),
        table(("time", "time"), ("kind", "text"), rows=[["2026-01-31T12:00:00Z", "a"], ["2026-01-31T12:01:00Z", "a"]]),
    ],
)
def test_everything_else_is_not(answer: Answer) -> None:
    assert not answer.is_over_time


def test_events_are_known_by_their_columns() -> None:
    answer = parse_answer(answer_of(event(1)))
    assert answer.are_events
    assert answer.events == [event(1)]
    assert not parse_answer(COUNTS).are_events


@pytest.mark.parametrize("value", [None, [], {}, {"columns": 5}, {**COUNTS, "rows": [[1]]}])
def test_what_is_no_answer_fails(value: Any) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        parse_answer(value)


def test_times_are_read_to_the_nanosecond() -> None:
    assert nanoseconds("1970-01-01T00:00:01.000000002Z") == 10**9 + 2
    assert nanoseconds("1970-01-01T00:00:01Z") == 10**9


@given(st.text())
def test_any_message_is_one_line(message: str) -> None:
    assert len(event_line(event(1, message)).splitlines()) == 1
