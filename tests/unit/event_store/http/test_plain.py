"""Columns of an engine as JSON and CSV have them."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.http.plain import as_text, kind_of, long_time, shortest, shown, texts, values

TIME = pa.timestamp("ns")


def column(found: list[Any], type_: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(found, type_)])


@pytest.mark.parametrize(
    ("held", "type_", "kind", "json", "text"),
    [
        ([1, None], pa.int64(), "integer", [1, None], ["1", None]),
        (["a", None], pa.string(), "text", ["a", None], ["a", None]),
        ([1.5, math.nan, -math.inf], pa.float64(), "number", [1.5, "NaN", "-Infinity"], ["1.5", "NaN", "-Infinity"]),
        ([200.0], pa.float64(), "number", [200.0], ["200"]),
        ([Decimal(7), Decimal(10**30)], pa.decimal128(38, 0), "number", [7, 1e30], ["7", "1e+30"]),
        ([True, None], pa.bool_(), "text", ["true", None], ["true", None]),
        ([b"\xff"], pa.binary(), "text", ["\ufffd"], ["\ufffd"]),
        ([[1, 2]], pa.list_(pa.int64()), "text", ["[1,2]"], ["[1,2]"]),
        ([date(2026, 1, 2)], pa.date32(), "text", ["2026-01-02"], ["2026-01-02"]),
        ([0, None], TIME, "time", ["1970-01-01T00:00:00.000000000Z", None], ["1970-01-01T00:00:00.000000000Z", None]),
        (
            [1],
            pa.timestamp("us", "UTC"),
            "time",
            ["1970-01-01T00:00:00.000001000Z"],
            ["1970-01-01T00:00:00.000001000Z"],
        ),
    ],
)
def test_each_type(held: list[Any], type_: pa.DataType, kind: str, json: list[Any], text: list[Any]) -> None:
    assert kind_of(type_) == kind
    assert values(column(held, type_)) == json
    assert texts(column(held, type_)).to_pylist() == text


def test_a_dictionary_is_what_it_holds() -> None:
    names = column(["a", None, "a"]).dictionary_encode()
    assert values(names) == texts(names).to_pylist() == ["a", None, "a"]


@given(st.lists(st.one_of(st.none(), st.floats())))
def test_any_number_can_be_written(numbers: list[float | None]) -> None:
    assert orjson.loads(orjson.dumps(values(column(numbers, pa.float64())))) is not None
    assert len(texts(column(numbers, pa.float64()))) == len(numbers)


@given(st.integers(-(10**18), 4 * 10**18))
def test_one_time_is_written_as_a_column_of_them_is(time_ns: int) -> None:
    assert [long_time(time_ns)] == values(column([time_ns], TIME))


def test_single_values() -> None:
    assert (shortest(2.0), shortest(2.5), shortest(math.inf), shortest(1e300)) == (2, 2.5, "Infinity", 1e300)
    assert shown(datetime(1970, 1, 1, tzinfo=UTC)) == "1970-01-01T00:00:00.000000000Z"
    assert (shown(None), shown(5), shown("x"), shown([1])) == (None, 5, "x", "[1]")
    assert as_text({"a": datetime(2026, 1, 1)}) == '{"a":"2026-01-01T00:00:00"}'
