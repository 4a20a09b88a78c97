import math
from collections.abc import Sequence

import numpy as np
import pytest

from log_cache.promql.functions import FORMULAS, FUNCTIONS, absent
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Numeric, Value
from tests.unit.log_cache.promql.tables import Table, labels, shown, table

TIMES = StepTimes(start_ms=1000, end_ms=3500, step_ms=1250)


def scalar(*values: float) -> Numeric:
    return Numeric(np.array(values, np.float64))


def call(name: str, *arguments: Value) -> Value:
    return FUNCTIONS[name](arguments, TIMES)


def of_series(name: str, series: Table, *arguments: Value) -> Table:
    return shown(call(name, table(series), *arguments))


def numbers(value: Value) -> list[float]:
    assert isinstance(value, Numeric)
    return list(value.values.tolist())


@pytest.mark.parametrize(
    ("name", "values", "results"),
    [
        ("abs", "-1 nan -inf", "1 NaN +Inf"),
        ("ceil", "1.2 -1.2 inf", "2 -1 +Inf"),
        ("floor", "1.2 -1.2 nan", "1 -2 NaN"),
        ("exp", "0 1000 -inf", "1 +Inf 0"),
        ("ln", "1 0 -1", "0 -Inf NaN"),
        ("log2", "8 0 -1", "3 -Inf NaN"),
        ("log10", "1000 0 inf", "3 -Inf +Inf"),
        ("sqrt", "9 -1 inf", "3 NaN +Inf"),
        ("sgn", "-5 0 nan", "-1 0 NaN"),
        ("deg", f"{math.pi} 0 nan", "180 0 NaN"),
        ("rad", "180 0 inf", f"{math.pi} 0 +Inf"),
        ("acos", "1 2 nan", "0 NaN NaN"),
        ("cosh", "0 1000 nan", "1 +Inf NaN"),
        ("sin", "0 inf nan", "0 NaN NaN"),
    ],
)
def test_formulas(name: str, values: str, results: str) -> None:
    assert of_series(name, {"up a=1": f"{values} _"}) == {"a=1": f"{results} _"}


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_takes_every_number_in_silence(name: str) -> None:
    result = of_series(name, {"up a=1": "0 -0 1 -1 0.5 1e308 -1e308 5e-324 inf -inf nan _"})

    assert list(result) == ["a=1"]


@pytest.mark.parametrize(
    "name", ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "atanh"]
)
def test_trigonometry_is_that_of_the_same_name(name: str) -> None:
    expected = getattr(math, name)(0.3)

    assert float(of_series(name, {"a=1": "0.3"})["a=1"]) == pytest.approx(expected)


def test_round_goes_to_the_nearest_and_halves_up() -> None:
    assert of_series("round", {"up a=1": "1.4 1.5 -1.5"}) == {"a=1": "1 2 -1"}
    assert of_series("round", {"up a=1": "1.4 17 0.13"}, scalar(0.5, 10, 0.1)) == {"a=1": "1.5 20 0.1"}
    assert of_series("round", {"up a=1": "1 inf nan"}, scalar(0, 1, 1)) == {"a=1": "NaN +Inf NaN"}


def test_clamp_keeps_within_bounds() -> None:
    series = {"up a=1": "1 5 9 nan _"}

    assert of_series("clamp", series, scalar(2, 2, 2, 2, 2), scalar(8, 8, 8, 8, 8)) == {"a=1": "2 5 8 NaN _"}
    assert of_series("clamp_min", series, scalar(2, 7, 2, 2, 2)) == {"a=1": "2 7 9 NaN _"}
    assert of_series("clamp_max", series, scalar(2, 2, 20, 2, 2)) == {"a=1": "1 2 9 NaN _"}


def test_clamp_between_bounds_that_cross_is_nothing() -> None:
    assert of_series("clamp", {"up a=1": "1 1 1"}, scalar(2, 2, 2), scalar(1, 2, math.nan)) == {"a=1": "_ 2 NaN"}


def test_a_bound_that_is_nan_makes_nan() -> None:
    assert of_series("clamp_min", {"a=1": "1 nan"}, scalar(math.nan, math.inf)) == {"a=1": "NaN +Inf"}
    assert of_series("clamp_max", {"a=1": "1 nan"}, scalar(math.nan, -math.inf)) == {"a=1": "NaN -Inf"}


def test_sort_orders_an_instant_vector() -> None:
    series = {"up a=1": "3", "up a=2": "nan", "up a=3": "-inf", "up a=4": "1"}

    assert list(of_series("sort", series)) == ["up a=3", "up a=4", "up a=1", "up a=2"]
    assert list(of_series("sort_desc", series)) == ["up a=1", "up a=4", "up a=3", "up a=2"]


def test_sort_means_nothing_over_a_range() -> None:
    series = {"up a=1": "3 1", "up a=2": "2 2"}

    assert list(of_series("sort", series)) == list(of_series("sort_desc", series)) == list(series)


def test_scalar_is_the_one_sample_there_is() -> None:
    series = {"up a=1": "1 _ inf _ nan", "up a=2": "_ 2 -inf _ _"}

    assert numbers(call("scalar", table(series))) == pytest.approx([1, 2, math.nan, math.nan, math.nan], nan_ok=True)


def test_vector_has_one_series_without_labels() -> None:
    assert shown(call("vector", scalar(1, math.nan))) == {"": "1 NaN"}


def test_time_is_that_of_the_step() -> None:
    assert numbers(call("time")) == [1, 2.25, 3.5]
    assert of_series("timestamp", {"up a=1": "7 _ 7"}) == {"a=1": "1 _ 3.5"}


def test_pi() -> None:
    assert numbers(call("pi")) == [math.pi] * 3


@pytest.mark.parametrize(
    ("series", "expected"),
    [({"up a=1": "1 _ _", "up a=2": "_ nan _"}, {"a=1": "_ _ 1"}), ({}, {"a=1": "1 1 1"}), ({"up": "1 1 1"}, {})],
)
def test_absent_is_1_where_nothing_is(series: Table, expected: Table) -> None:
    assert shown(absent(table(series, steps=3), labels("a=1"))) == expected


ONES = scalar(1, 1, 1)

CALLS: dict[str, Sequence[Value]] = {
    "round": [ONES],
    "clamp": [ONES, ONES],
    "clamp_min": [ONES],
    "clamp_max": [ONES],
}
TAKE_NO_SINGLE_VECTOR = {"vector", "time", "pi", "scalar", "histogram_quantile", "label_replace", "label_join"}
KEEP_THE_NAME = {"sort", "sort_desc"}


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - TAKE_NO_SINGLE_VECTOR))
def test_only_sorting_keeps_the_name(name: str) -> None:
    result = of_series(name, {"up a=1": "1 1 1"}, *CALLS.get(name, ()))

    assert list(result) == (["up a=1"] if name in KEEP_THE_NAME else ["a=1"])


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - TAKE_NO_SINGLE_VECTOR))
def test_of_an_empty_vector_there_is_nothing(name: str) -> None:
    assert shown(call(name, table({}, steps=3), *CALLS.get(name, ()))) == {}
