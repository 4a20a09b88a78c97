"""Ranges of a histogram: round, as many as asked for, and every value in the right one."""

from functools import cache

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlglot import exp

from event_store.model import ColumnType
from event_store.query.dialects import DUCKDB
from event_store.query.names import Column
from event_store.query.row import ALIAS, Row
from event_store.query.widths import MOST_RANGES, histogram
from tests import event_store_oracle
from tests.event_store_engine import Engine


@cache
def sql() -> str:
    row = Row(lambda name: (Column(name, ColumnType.NUMBER),), DUCKDB)
    return histogram(exp.select().from_(exp.to_table("events", alias=ALIAS)), row, "value").sql(dialect="duckdb")


def ranges(engine: Engine, values: list[float | None]) -> list[tuple[float, float, int]]:
    engine.show(pa.table({"value": pa.array(values, pa.float64())}))
    return sorted(engine.rows(sql()))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([None, float("nan"), float("inf")], []),
        ([7.5, None, 7.5], [(7.0, 8.0, 2)]),
        ([0.0, 20.0], [(0.0, 1.0, 1), (20.0, 21.0, 1)]),
        ([0.0, 20.1], [(0.0, 2.0, 1), (20.0, 22.0, 1)]),
        ([-3.0, 90.0], [(-5.0, 0.0, 1), (90.0, 95.0, 1)]),
        ([0.1, 0.3, 0.35, 1.4], [(0.1, 0.2, 1), (0.3, 0.4, 2), (1.4, 1.5, 1)]),  # not 0.30000000000000004
    ],
)
def test_a_range_is_as_wide_as_is_round(
    engine: Engine, values: list[float | None], expected: list[tuple[float, float, int]]
) -> None:
    assert ranges(engine, values) == expected


@given(values=st.lists(st.floats(-1e25, 1e25), min_size=1, max_size=5))
@example(values=[1e-12, 2e-12])
@example(values=[0.07, 0.09, 1.07])
def test_every_value_is_in_a_range(engine: Engine, values: list[float]) -> None:
    found = ranges(engine, list(values))

    assert sum(count for _, _, count in found) == len(values)
    assert len(found) <= MOST_RANGES + 1
    assert found == [tuple(row.values()) for row in event_store_oracle.histogram(values)]


def test_values_at_both_ends_of_what_a_double_holds_have_ranges_too(engine: Engine) -> None:
    assert sum(count for _, _, count in ranges(engine, [-1.7e308, 0.0, 1.7e308])) == 3
