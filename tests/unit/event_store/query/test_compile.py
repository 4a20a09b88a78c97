"""What the stages make of events; and what an engine is told."""

from datetime import UTC, datetime
from typing import Any

import pytest

from event_store.query.compile import compile_query
from event_store.query.dialects import CLICKHOUSE, DIALECTS, DUCKDB
from event_store.query.parse import MAX_DEPTH, MAX_VALUES, parse
from event_store.query.times import SECOND_NS
from tests.event_store_engine import Engine
from tests.event_store_queries import CATALOG, EPOCH_NS, FIXED, NOW_NS, table_of

EVENTS = tuple(
    {"severity": severity, "t_app": app, "f_lat$num": latency, "time": EPOCH_NS + second * SECOND_NS, "seq": seq}
    for seq, (second, severity, app, latency) in enumerate(
        [
            (0, "info", "web", 10.0),
            (10, "info", "web", 20.0),
            (59, "error", "api", 30.0),
            (60, "error", "web", 40.0),
            (185, "warn", None, None),
        ]
    )
)


@pytest.fixture(scope="module", autouse=True)
def _events(engine: Engine) -> None:
    blank = dict.fromkeys((*FIXED, *CATALOG))
    engine.show(table_of([{**blank, **event} for event in EVENTS], overflow=False))


def seconds(cell: Any) -> Any:
    """Times as seconds since the first event."""
    return cell.replace(tzinfo=UTC).timestamp() - EPOCH_NS // SECOND_NS if isinstance(cell, datetime) else cell


@pytest.mark.parametrize(
    ("stages", "columns", "rows"),
    [
        ("| count", "count", [(5,)]),
        ("nothing | count", "count", [(0,)]),
        ("nothing | count by app", "app count", []),
        ("nothing | sum lat", "sum", [(None,)]),
        ("| count by app", "app count", [("web", 3), ("api", 1), (None, 1)]),
        ("| count per 1m", "time count", [(0, 3), (60, 1), (180, 1)]),  # and none at 120
        (
            "| count by severity per 1m",
            "time severity count",
            [(0, "error", 1), (0, "info", 2), (60, "error", 1), (180, "warn", 1)],
        ),
        ("| count by app, severity | limit 2", "app severity count", [("web", "info", 2), ("api", "error", 1)]),
        ("| sum avg min max lat", "sum avg min max", [(100.0, 25.0, 10.0, 40.0)]),
        ("| p50 p90 p99.9 lat", "p50 p90 p99.9", [(25.0, 37.0, pytest.approx(39.97))]),
        ("| p50 lat by app", "app p50", [("api", 30.0), ("web", 20.0), (None, None)]),
        ("| distinct app", "distinct", [(2,)]),
        ("| rate per 1m | limit 1", "time rate", [(0, 3 / 60)]),
        ("from 07:50 to 07:51 | rate", "rate", [(3 / 60,)]),
        ("| rate lat per 1m | limit 1", "time rate", [(0, 1.0)]),
        ("| top severity", "severity count", [("error", 2), ("info", 2), ("warn", 1)]),
        ("| top 1 severity where app:web", "severity count", [("info", 2)]),
        ("| top lat where lat>=30", "lat count", [(30.0, 1), (40.0, 1)]),
        ("| histogram lat", "from to count", [(10.0, 12.0, 1), (20.0, 22.0, 1), (30.0, 32.0, 1), (40.0, 42.0, 1)]),
        ("| tail 2 | fields seq", "seq", [(3,), (4,)]),
        ("| head 2 | fields seq, app", "seq app", [(0, "web"), (1, "web")]),
        ("| limit 2 | fields seq", "seq", [(0,), (1,)]),
        ("| head 3 | tail 2 | fields seq", "seq", [(1,), (2,)]),
        ("| fields lat, time | tail 1", "lat time", [(None, 185)]),
        ("| sort -lat | fields seq", "seq", [(3,), (2,), (1,), (0,), (4,)]),
        ("| sort severity, -lat | limit 2 | fields seq", "seq", [(3,), (2,)]),
        ("| sort lat | tail 2 | fields seq", "seq", [(3,), (4,)]),
        ("| sort lat | sort app | fields seq", "seq", [(2,), (0,), (1,), (3,), (4,)]),
        ("| count by app | sort app | head 1", "app count", [("api", 1)]),
        ("| count by app | fields count, app | tail 1", "count app", [(1, None)]),
        ("| count per 1m | max count", "max", [(3.0,)]),
        ("| count by app per 1m | avg count by app | sort app", "app avg", [("api", 1.0), ("web", 1.5), (None, 1.0)]),
        ("| count per 1m | count per 2m", "time count", [(0, 2), (120, 1)]),
        ("| tail 2 | count by app", "app count", [("web", 1), (None, 1)]),
        ("| fields nowhere | limit 1", "nowhere", [(None,)]),
        ("| sort nowhere | fields seq | limit 1", "seq", [(0,)]),
        ("| sum nowhere by nowhere", "nowhere sum", [(None, None)]),
    ],
)
def test_stages_make_rows_of_events(engine: Engine, stages: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    compiled = compile_query(parse(stages, NOW_NS), CATALOG, DUCKDB)

    found = [tuple(seconds(cell) for cell in row) for row in engine.rows(compiled.sql)]

    assert (compiled.columns, found) == (tuple(columns.split()), rows)


def test_events_are_shown_whole_and_in_order(engine: Engine) -> None:
    compiled = compile_query(parse("", NOW_NS), [*CATALOG, "message_raw", "attrs"], DUCKDB)

    assert compiled.columns == (*FIXED, "attrs", *sorted(CATALOG))
    assert "LIMIT 100" in compiled.sql


def test_an_answer_can_be_bounded(engine: Engine) -> None:
    compiled = compile_query(parse("| count by app", NOW_NS), CATALOG, DUCKDB, max_rows=1)

    assert engine.rows(compiled.sql) == [("web", 3)]


def test_an_unknown_field_is_warned_of_once() -> None:
    query = parse("ap:1 or ap:2 | top 5 qqqqqq where lat>1 | sort qqqqqq", NOW_NS)

    warnings = compile_query(query, CATALOG, DUCKDB).warnings

    assert warnings == ('no event has a field "ap" (did you mean app?)', 'no event has a field "qqqqqq"')


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_the_biggest_queries_can_be_written(dialect: Any) -> None:
    catalog = [*CATALOG, "attrs"]
    wide = parse(" or ".join(["status:5*"] * MAX_VALUES), NOW_NS)
    text = "x:1"
    for _ in range(MAX_DEPTH):
        text = f"not (a or {text} b)"

    assert len(compile_query(wide, catalog, dialect).sql) < 1 << 18  # ClickHouse takes no more unless it is told to
    assert compile_query(parse(text, NOW_NS), catalog, dialect).sql


def test_duckdb_runs_the_deepest_filter(engine: Engine) -> None:
    text = "app:web"
    for _ in range(MAX_DEPTH):
        text = f"not (nothing or {text} not nothing)"
    compiled = compile_query(parse(f"{text} | count", NOW_NS), CATALOG, DUCKDB)

    assert engine.rows(compiled.sql) == [(3,)]


def test_names_from_outside_are_quoted() -> None:
    odd = 't_a"; DROP TABLE x; --\\'

    for dialect, written in ((DUCKDB, '"t_a""; DROP TABLE x; --\\"'), (CLICKHOUSE, '"t_a""; DROP TABLE x; --\\\\"')):
        assert written in compile_query(parse("", NOW_NS), [odd], dialect).sql
