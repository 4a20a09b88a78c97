"""Random queries over random events: the engines answer what plain Python does."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from event_store.query.compile import compile_query
from event_store.query.conditions import condition
from event_store.query.dialects import CLICKHOUSE, DUCKDB
from event_store.query.names import resolve
from event_store.query.row import Row, named
from event_store.query.syntax import Query
from event_store.query.writing import format_filter, format_query
from tests.event_store_engine import Engine
from tests.event_store_oracle import _Table, evaluate
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


@settings(max_examples=30)
@given(maker=makers(), overflow=st.booleans())
def test_duckdb_finds_what_the_oracle_does(engine: Engine, maker: Maker, overflow: bool) -> None:
    """Several filters in one statement: that is quicker than one by one, so there can be more of them."""
    events = maker.events(overflow=overflow)
    table, filters = table_of(events, overflow=overflow), [maker.filter() for _ in range(8)]
    row = Row(lambda field: resolve(field, table.column_names), DUCKDB)
    found = [
        named(exp.Coalesce(this=condition(each, row), expressions=[exp.false()]), f"c{at}")
        for at, each in enumerate(filters)
    ]
    engine.show(table)

    answer = engine.table(exp.select(*found).from_("events AS e").sql(dialect="duckdb"))

    oracle = _Table(table.column_names)
    for column, each in zip(answer.columns, filters, strict=True):
        assert column.to_pylist() == [oracle.holds(each, event) for event in events], format_filter(each)


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
