"""Random queries over random events: the engines answer what plain Python does."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.query.compile import compile_query
from event_store.query.dialects import CLICKHOUSE, DUCKDB
from event_store.query.syntax import Query
from event_store.query.writing import format_query
from tests.event_store_engine import Engine
from tests.event_store_oracle import evaluate
from tests.event_store_queries import Maker, makers, table_of


def plain(table: pa.Table) -> list[tuple[Any, ...]]:
    """Rows as the oracle has them: times in nanoseconds, NaN as None (it is no number), maps as dicts."""
    columns = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        columns.append([cell(value) for value in column.to_pylist()])
    return list(zip(*columns, strict=True))


def cell(value: Any) -> Any:
    if isinstance(value, float):
        return None if value != value else pytest.approx(value, rel=1e-12)
    return (dict(value) or None) if isinstance(value, list | dict) else value


def expected(
    query: Query, events: list[dict[str, Any]], table: pa.Table
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    columns, rows = evaluate(query, events, table.column_names)
    return columns, [tuple(None if value != value else value for value in row) for row in rows]


@given(maker=makers(), overflow=st.booleans())
def test_duckdb_answers_as_the_oracle_does(engine: Engine, maker: Maker, overflow: bool) -> None:
    events = maker.events(overflow=overflow)
    table = table_of(events, overflow=overflow)
    query = maker.query()
    compiled = compile_query(query, table.column_names, DUCKDB)
    engine.show(table)

    answer = engine.table(compiled.sql)

    assert (compiled.columns, plain(answer)) == expected(query, events, table), format_query(query)


@pytest.mark.slow
@given(maker=makers(), overflow=st.booleans())
def test_clickhouse_answers_as_the_oracle_does(maker: Maker, overflow: bool) -> None:
    chdb = pytest.importorskip("chdb", reason="ClickHouse as a library is big, and is installed by hand")
    events = maker.events(overflow=overflow)
    table = table_of(events, overflow=overflow)  # found by its name
    query = maker.query()
    compiled = compile_query(query, table.column_names, CLICKHOUSE)
    sql = compiled.sql.replace("FROM events AS", "FROM Python(table) AS")

    answer = chdb.query(sql, "ArrowTable") if events else None

    assert not events or (compiled.columns, plain(answer)) == expected(query, events, table), format_query(query)
