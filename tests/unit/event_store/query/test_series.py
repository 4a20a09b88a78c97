"""Counts over time of the most frequent values, against those that plain Python makes of all values."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_store.query.compile import compile_query
from event_store.query.dialects import DUCKDB
from event_store.query.series import COLUMNS
from event_store.query.syntax import Aggregate, Series
from event_store.query.times import SECOND_NS
from event_store.query.writing import format_stage
from tests.event_store_engine import Engine
from tests.event_store_oracle import evaluate
from tests.event_store_queries import FIELDS, Maker, makers, table_of

STEP_NS = 60 * SECOND_NS


@settings(max_examples=30)
@given(maker=makers(), by=st.sampled_from((*FIELDS, "nothing", "time")), most=st.integers(1, 4))
def test_the_rest_is_summed(engine: Engine, maker: Maker, by: str, most: int) -> None:
    events = maker.events(overflow=True)
    table, query = table_of(events, overflow=True), replace(maker.query(), pipeline=(Series(by, STEP_NS, most),))
    compiled = compile_query(query, table.column_names, DUCKDB)
    engine.show(table)
    answer = engine.table(compiled.sql)
    columns = [each.cast("int64") if pa.types.is_timestamp(each.type) else each for each in answer.columns]
    found = list(zip(*(each.to_pylist() for each in columns), strict=True))

    counted = replace(query, pipeline=(Aggregate(("count",), by=(by,)),))
    _, totals = evaluate(counted, events, table.column_names)
    ranks = {value: rank for rank, (value, _) in enumerate(totals[:most], 1)}
    expected: Counter[tuple[int, object, int]] = Counter()
    for start in range(query.span.start_ns // STEP_NS * STEP_NS, query.span.end_ns, STEP_NS):
        within = [event for event in events if start <= event["time"] < start + STEP_NS]
        for value, count in evaluate(counted, within, table.column_names)[1]:
            rank = ranks.get(value, 0)
            expected[start, value if rank else None, rank] += count

    assert compiled.columns == COLUMNS
    assert {tuple(row[:3]): row[3] for row in found} == expected
    assert [(row[2], row[0]) for row in found] == sorted((row[2], row[0]) for row in found)


@pytest.mark.parametrize("by", ["count", "rank", "held"])
def test_a_field_may_be_called_as_a_column_of_the_answer_is(engine: Engine, by: str) -> None:
    query = replace(Maker(0).query(), pipeline=(Series(by, STEP_NS, 1),))

    assert compile_query(query, [f"t_{by}"], DUCKDB).columns == COLUMNS


def test_series_are_written_as_the_count_that_they_are_made_of() -> None:
    assert format_stage(Series("app", STEP_NS, 5)) == "count by app per 1m"
