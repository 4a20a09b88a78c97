"""Segments are passed over only when nothing in them can count."""

from dataclasses import replace

import pytest
from hypothesis import given

from event_store.engine.pruning import kept, may_have_value, may_match, with_sources_named
from event_store.model import FIXED, ColumnType, type_of
from event_store.query.syntax import EVERYTHING, Compare, Span
from event_store.storage import Segment
from tests.event_store_oracle import _Table
from tests.event_store_queries import CATALOG, Maker, makers
from tests.unit.event_store.engine.stores import asked

SEGMENT = Segment(
    file="x",
    level=0,
    rows=1,
    bytes=1,
    min_time=100,
    max_time=200,
    min_seq=0,
    max_seq=1,
    checksum="",
    columns=frozenset({*FIXED, "t_app", "f_status$num"}),
    sources=frozenset({"web-1", "Billing"}),
)


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, 100, 0), (0, 101, 1), (200, 300, 1), (201, 300, 0), (150, 160, 1)]
)
def test_by_time(start: int, end: int, expected: int) -> None:
    assert len(kept([SEGMENT], Span(start, end), EVERYTHING)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "source:web-1",
        "source:WEB-1",
        "source:w*",
        "source:*ILL*",
        "source == Billing",
        "source in (a, web-1)",
        "source contains 'B-1'",
        "source > m",
        "source != web-1",
        "source matches /w/",
        "source has WEB",
        "has word",
        "not source:nobody",
        "app:x",
        "status >= 500",
        "t_app:x",
        "duration > 5",
        "word",
        "source:nobody or app:x",
        "source:*",
        "not trace_id:5",
        "trace_id != 5",
        "severity >= warn",
    ],
)
def test_may_match(text: str) -> None:
    assert may_match(asked(text).filter, SEGMENT)


@pytest.mark.parametrize(
    "text",
    [
        "source:nobody",
        "source == web",
        "source == billing",
        "source in (a, b)",
        "source:b",
        "source contains x9",
        "source has we",
        "source > 5",
        "trace_id has x",
        "trace_id:5",
        "trace_id:*",
        "f_app:x",
        "trace_id matches /5/",
        "app:x and trace_id:5",
        "source:nobody or trace_id:5",
    ],
)
def test_cannot_match(text: str) -> None:
    assert not may_match(asked(text).filter, SEGMENT)


@pytest.mark.parametrize("text", ["source:é", "source:k", "source contains I"])
def test_beyond_ascii_only_sql_knows(text: str) -> None:
    assert may_match(asked(text).filter, replace(SEGMENT, sources=frozenset({"\u212a\u0130"})))


def test_fields_without_columns_may_be_in_the_map() -> None:
    assert may_match(asked("trace_id:5").filter, replace(SEGMENT, columns=SEGMENT.columns | {"attrs"}))
    assert may_match(asked("source:nobody").filter, replace(SEGMENT, sources=None))


@given(maker=makers())
def test_what_is_passed_over_holds_nothing(maker: Maker) -> None:
    expr, events = maker.filter(), maker.events(overflow=False)[:3]
    columns = {name for event in events for name, value in event.items() if value is not None} | set(FIXED)
    sources = frozenset(event["source_id"] for event in events if event["source_id"] is not None)
    catalog = [name for name in columns if name not in FIXED]

    if not may_match(expr, replace(SEGMENT, columns=frozenset(columns), sources=sources)):
        assert not any(_Table(catalog).holds(expr, event) for event in events)


VALUES = {"severity": {"info", "debug"}, "t_status": {"200", "ok"}, "t_app": {"web", "Web"}, "f_k": {"\u212a"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("severity >= warn", False),
        ("severity:INFO", True),
        ("severity:error or app:api", False),
        ("severity:error or app:w*", True),
        ("not severity:error", True),
        ("app in (a, b)", False),
        ("app has we", False),
        ("app contains E", True),
        ("status >= 500", True),  # there may be numbers in f_status$num
        ("t_status >= 500", True),
        ("t_app >= 5", False),
        ("t_status:404 web", False),
        ("status:404", True),
        ("k:k", True),  # only SQL knows
        ("f_k:k", True),
        ("t_k:k", False),
        ("nowhere:*", False),
        ("app != web", True),
    ],
)
def test_by_the_values_of_columns(text: str, expected: bool) -> None:
    unknown = {"message", "f_status$num"}

    assert may_have_value(asked(text).filter, lambda c: None if c in unknown else VALUES.get(c, set())) is expected


@given(maker=makers())
def test_what_is_passed_over_by_values_holds_nothing(maker: Maker) -> None:
    expr, events = maker.filter(), maker.events(overflow=False)[:3]
    catalog = [name for name in CATALOG if any(event[name] is not None for event in events)]
    held = {name: {event[name] for event in events if event[name] is not None} for name in (*FIXED, *catalog)}

    def values_of(column: str) -> set[str] | None:
        return held.get(column, set()) if column == "message" or type_of(column) is ColumnType.TEXT else None

    if not may_have_value(expr, lambda column: values_of(column) if column != "attrs" else frozenset()):
        assert not any(_Table(catalog).holds(expr, event) for event in events)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("source:WEB", "source_id in (Web, web)"),
        ("source:w*", "source_id in (Web, web, wide)"),
        ("error or not source:wide", "error or not source_id in (wide)"),
        ("app:x source:wide", "app:x source_id in (wide)"),
        ("source:nobody", "source:nobody"),
        ("source:é", "source:é"),
        ("source == web", "source == web"),
        ("app:web", "app:web"),
    ],
)
def test_sources_are_named(text: str, expected: str) -> None:
    assert with_sources_named(asked(text).filter, lambda: ["web", "Web", "wide", "other"]) == asked(expected).filter


@pytest.mark.parametrize("sources", [None, ["web", "\u212a"], [f"web{number}" for number in range(200)]])
def test_sources_that_cannot_be_named_are_not(sources: list[str] | None) -> None:
    assert with_sources_named(asked("source:w*").filter, lambda: sources) == asked("source:w*").filter


def test_any_number_of_wildcards_is_matched_in_one_pass() -> None:
    segment = replace(SEGMENT, sources=frozenset({"a" * 5_000}))
    assert not may_match(Compare("source_id", ":", "*a" * 1_000 + "*~"), segment)
    assert may_match(Compare("source_id", ":", "*a" * 1_000 + "*"), segment)
