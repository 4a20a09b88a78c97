import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_cache.promql import operators
from log_cache.promql.operators import ARITHMETIC, COMPARISONS, binary, negate
from log_cache.promql.values import Columns, Numeric, QueryError, Text, Value
from tests.unit.log_cache.promql.tables import Table, shown, table

PLAIN: dict[str, Any] = {"card": "one-to-one", "on": None, "ignoring": None, "group": (), "return_bool": False}


def scalar(*values: float) -> Numeric:
    return Numeric(np.array(values, np.float64))


def apply(op: str, lhs: Value, rhs: Value, *, return_bool: bool = False) -> Value:
    card = "many-to-many" if op in operators.SET_OPERATORS else "one-to-one"
    return binary(op, lhs, rhs, **{**PLAIN, "card": card, "return_bool": return_bool})


def of_scalars(op: str, left: float, right: float) -> float:
    result = apply(op, scalar(left), scalar(right), return_bool=op in COMPARISONS)
    assert isinstance(result, Numeric)
    return float(result.values[0])


@pytest.mark.parametrize(
    ("op", "left", "right", "result"),
    [
        *[
            ("+", 1, 2, 3),
            ("-", 1, 2, -1),
            ("*", 3, 2, 6),
            ("/", 1, 2, 0.5),
            ("^", 2, 10, 1024),
            ("atan2", 0, -1, math.pi),
        ],
        *[("/", 1, 0, math.inf), ("/", -1, 0, -math.inf), ("/", 1, -0.0, -math.inf), ("/", 0, 0, math.nan)],
        *[("%", 7, 3, 1), ("%", -7, 3, -1), ("%", 7, -3, 1), ("%", 5.5, 2, 1.5), ("%", 1, math.inf, 1)],
        *[("%", 1, 0, math.nan), ("%", math.inf, 2, math.nan), ("^", -8, 1 / 3, math.nan), ("^", 0, -1, math.inf)],
        *[
            ("^", math.nan, 0, 1),
            ("^", 1, math.nan, 1),
            ("+", math.inf, -math.inf, math.nan),
            ("*", 1e308, 10, math.inf),
        ],
        *[("==", 1, 1, 1), ("!=", 1, 1, 0), (">", 2, 1, 1), ("<", 2, 1, 0), (">=", 1, 1, 1), ("<=", 2, 1, 0)],
        *[("==", math.nan, math.nan, 0), ("!=", math.nan, math.nan, 1), (">=", math.nan, 1, 0)],
    ],
)
def test_scalars(op: str, left: float, right: float, result: float) -> None:
    assert of_scalars(op, left, right) == pytest.approx(result, nan_ok=True, abs=0)


@given(st.floats(), st.floats())
def test_a_remainder_is_that_of_c(left: float, right: float) -> None:
    try:
        expected = math.fmod(left, right)
    except ValueError:
        expected = math.nan

    assert of_scalars("%", left, right) == pytest.approx(expected, nan_ok=True, rel=0, abs=0)


def test_arithmetic_with_a_scalar_drops_the_name() -> None:
    vector = table({"up app=a": "1 2 _", "up app=b": "_ 4 5"})

    assert shown(apply("*", vector, scalar(10, 20, 30))) == {"app=a": "10 40 _", "app=b": "_ 80 150"}
    assert shown(apply("-", scalar(10, 20, 30), vector)) == {"app=a": "9 18 _", "app=b": "_ 16 25"}


def test_a_comparison_keeps_the_samples_of_the_vector_and_its_name() -> None:
    vector = table({"up app=a": "1 2 3 nan", "up app=b": "_ 1 1 1"})

    assert shown(apply(">", vector, scalar(1, 1, 2, 0))) == {"up app=a": "_ 2 3 _", "up app=b": "_ _ _ 1"}
    assert shown(apply("<=", scalar(1, 2, 2, 0), vector)) == {"up app=a": "1 2 3 _", "up app=b": "_ _ _ 1"}


def test_bool_says_1_or_0_and_drops_the_name() -> None:
    vector = table({"up app=a": "1 2 nan", "up app=b": "_ 1 1"})

    assert shown(apply(">", vector, scalar(1, 1, 1), return_bool=True)) == {"app=a": "0 1 0", "app=b": "_ 0 0"}
    assert shown(apply("!=", scalar(1, 1, 1), vector, return_bool=True)) == {"app=a": "0 1 1", "app=b": "_ 0 0"}


def test_names_that_told_series_apart_are_missed() -> None:
    vector = table({"up app=a": "1", "down app=a": "1"})

    with pytest.raises(QueryError, match="vector cannot contain metrics with the same labelset"):
        apply("+", vector, scalar(1))


def test_vectors_meet_where_their_labels_are_equal() -> None:
    lhs = table({"used app=a": "6 8 _ 1", "used app=b": "1 1 1 1", "used app=c": "5 _ _ _"})
    rhs = table({"quota app=a": "2 0 1 1", "quota app=c": "_ 1 1 1", "quota app=d": "1 1 1 1"})

    assert shown(apply("/", lhs, rhs)) == {"app=a": "3 +Inf _ 1"}
    assert shown(apply(">", lhs, rhs)) == {"used app=a": "6 8 _ _"}
    assert shown(apply(">", lhs, rhs, return_bool=True)) == {"app=a": "1 1 _ 0"}


def test_set_operators_drop_nothing() -> None:
    lhs = table({"up app=a": "1 1", "up app=b": "2 2"})
    rhs = table({"down app=a": "3 _", "down app=c": "4 4"})

    assert shown(apply("and", lhs, rhs)) == {"up app=a": "1 _"}
    assert shown(apply("unless", lhs, rhs)) == {"up app=a": "_ 1", "up app=b": "2 2"}
    assert shown(apply("or", lhs, rhs)) == {"up app=a": "1 1", "up app=b": "2 2", "down app=c": "4 4"}


@pytest.mark.parametrize("op", [*ARITHMETIC, *COMPARISONS, "and", "or", "unless"])
@pytest.mark.parametrize(("rows", "others"), [({}, {}), ({"up a=1": "1 2"}, {}), ({}, {"up a=1": "1 2"})])
def test_nothing_meets_nothing(op: str, rows: Table, others: Table) -> None:
    result = apply(op, table(rows, steps=2), table(others, steps=2))

    expected = {"or": {**rows, **others}, "unless": rows}.get(op, {})
    assert shown(result) == expected


def test_minus_drops_the_name() -> None:
    assert shown(negate(table({"up app=a": "1 -2 _"}))) == {"app=a": "-1 2 _"}


def test_minus_of_a_scalar() -> None:
    result = negate(scalar(1, -2))

    assert isinstance(result, Numeric)
    assert result.values.tolist() == [-1, 2]


def test_text_is_no_operand() -> None:
    with pytest.raises(QueryError, match="takes scalars and instant vectors"):
        apply("+", Text("a"), scalar(1))
    with pytest.raises(QueryError, match="unary minus takes a scalar or an instant vector"):
        negate(Text("a"))


def test_operands_are_left_as_they_are() -> None:
    lhs, rhs = table({"up app=a": "1 2"}), table({"up app=a": "3 _"})
    before: list[Columns] = [table(shown(side)) for side in (lhs, rhs)]

    for op in (*ARITHMETIC, *COMPARISONS, "and", "or", "unless"):
        apply(op, lhs, rhs)

    assert [shown(side) for side in (lhs, rhs)] == [shown(side) for side in before]
