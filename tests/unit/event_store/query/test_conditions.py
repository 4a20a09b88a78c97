"""Which events a filter lets through, case by case; test_against_oracle.py mixes them."""

import pytest

from event_store.query.compile import compile_query
from event_store.query.conditions import number
from event_store.query.dialects import DUCKDB
from event_store.query.parse import parse
from tests.event_store_engine import Engine
from tests.event_store_queries import CATALOG, EPOCH_NS, FIXED, NOW_NS, table_of

EVENTS = (
    {"message": "Error: É one", "t_app": "web", "f_status$num": 500.0, "severity": "error", "duration": 5},
    {"message": "two\nlines", "t_app": "Web", "f_status$num": 404.5, "severity": "warn", "duration": 2**53 + 1},
    {"message": None, "t_app": None, "f_status": "teapot", "severity": None},
    {"message": "100%_\\ 'q'", "t_app": "w*b", "t_status": "5e2", "severity": "info", "f_lat$num": float("nan")},
    {"message": "", "t_app": "10", "f_status": "true", "f_lat$num": 1.0, "severity": "fatal"},
)


@pytest.fixture(scope="module", autouse=True)
def _events(engine: Engine) -> None:
    blank = dict.fromkeys((*FIXED, *CATALOG))
    events = [{**blank, **event, "time": EPOCH_NS + seq, "seq": seq} for seq, event in enumerate(EVENTS)]
    engine.show(table_of(events, overflow=False))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("error", [0]),
        ("é", [0]),
        ("'100%_\\\\ '", [3]),
        ("% _ ", [3]),
        ("not error", [1, 2, 3, 4]),
        ('""', [0, 1, 3, 4]),
        ("/^E/ or /s$/", [0, 1]),
        ("/two.lines/", []),
        ("/(?s)TWO.lines/i", [1]),
        ("app:web", [0, 1]),
        ("app:w*b", [0, 1, 3]),
        ("app==w*b", [3]),
        ("app==web", [0]),
        ("app!=web", [1, 2, 3, 4]),
        ("not app!=web", [0]),
        ("app:*", [0, 1, 3, 4]),
        ("not app:*", [2]),
        ("app > 9", [4]),
        ("app > v", [0, 3]),
        ("app in (web, 10)", [0, 4]),
        ("app contains EB", [0, 1]),
        ("app matches '^W'", [1]),
        ("has ERROR", [0]),
        ("has rror", []),
        ("has line or has 'É one'", [0]),
        ("has é", []),
        ("has two has lines", [1]),
        ("has '_\\\\' not has 100_", [3]),
        ('has ""', [0, 1, 3, 4]),
        ("not has q", [0, 1, 2, 4]),
        ("app has B", [3]),
        ("status has 404 or status has 5", [1]),
        ("nowhere has x", []),
        ("status:500", [0]),
        ("status:5*", [0, 3]),
        ("status:404.5", [1]),
        ("status==5e2", [0, 3]),
        ("status>=404.5", [0, 1, 3]),
        ("status<0", []),
        ("status contains 4", [1]),
        ("status:TEAPOT", [2]),
        ("status:true lat:true", [4]),
        ("lat:*", [3, 4]),
        ("lat>0", [4]),
        ("not lat>0", [0, 1, 2, 3]),
        ("severity>=warn", [0, 1, 4]),
        ("severity<WARN", [3]),
        ("severity>fatal", []),
        ("not severity<=fatal", [2]),
        ("duration:5", [0]),
        ("duration==9007199254740993", [1]),
        ("duration>=9007199254740993", [1]),
        ("duration>4.5ns duration<1m", [0]),
        ("duration:5*", [0]),
        ("duration in (5, x)", [0]),
        (f"time:{EPOCH_NS + 1}", [1]),
        (f"time>{EPOCH_NS + 2}", [3, 4]),
        (f"time!={EPOCH_NS}", [1, 2, 3, 4]),
        ("time:*", [0, 1, 2, 3, 4]),
        ("nowhere:1", []),
        ("nowhere!=1", [0, 1, 2, 3, 4]),
    ],
)
def test_a_filter_lets_events_through(engine: Engine, text: str, found: list[int]) -> None:
    compiled = compile_query(parse(f"{text} | fields seq", NOW_NS), CATALOG, DUCKDB)

    assert [row[0] for row in engine.rows(compiled.sql)] == found


@pytest.mark.parametrize(
    ("value", "expected"), [("1", 1.0), ("-1.5e3", -1500.0), ("", None), ("1e999", None), ("inf", None), ("1\n", None)]
)
def test_a_value_may_be_a_number(value: str, expected: float | None) -> None:
    assert number(value) == expected
