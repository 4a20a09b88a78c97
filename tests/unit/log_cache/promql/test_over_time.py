"""What is said of the samples of a range taken together."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_cache.promql.over_time import OVER_TIME
from tests.unit.log_cache.promql.asking import at, every, over

OF_TWO_SAMPLES = {"rate", "increase", "delta", "irate", "idelta", "deriv"}
FOUR = {"m{a='1'}": every(10, 4, 1, 3, 2)}


def one(text: str, *values: float, time: float = 300) -> float:
    """The one value that is found of samples 10 s apart."""
    (value,) = at(text, {"m": every(10, *values)}, time).values()
    return value


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("sum_over_time", 10),
        ("avg_over_time", 2.5),
        ("min_over_time", 1),
        ("max_over_time", 4),
        ("count_over_time", 4),
        ("present_over_time", 1),
        ("stdvar_over_time", 1.25),
        ("stddev_over_time", math.sqrt(1.25)),
        ("deriv", -0.04),
    ],
)
def test_of_four_samples(function: str, value: float) -> None:
    assert at(f"{function}(m[5m])", FOUR) == {"{a='1'}": pytest.approx(value)}


@pytest.mark.parametrize(("function", "value"), [("first_over_time", 4), ("last_over_time", 2)])
def test_a_sample_that_is_picked_keeps_its_name(function: str, value: float) -> None:
    assert at(f"{function}(m[5m])", FOUR) == {"m{a='1'}": value}


@pytest.mark.parametrize("function", sorted(OVER_TIME))
def test_no_samples_no_result(function: str) -> None:
    arguments = {"quantile_over_time": "0.5, m[1s]", "predict_linear": "m[1s], 1"}.get(function, "m[1s]")

    assert at(f"{function}({arguments})", FOUR) == {}
    assert at(f"{function}({arguments})", {}) == {}


@pytest.mark.parametrize("function", sorted(set(OVER_TIME) - {"quantile_over_time", "predict_linear"}))
def test_there_is_a_result_at_the_steps_whose_range_has_samples(function: str) -> None:
    times = [time for points in over(f"{function}(m[15s])", FOUR, 0, 100, 10).values() for time, _ in points]

    assert times == ([0, 10, 20, 30, 40] if function not in OF_TWO_SAMPLES else [10, 20, 30])


def test_nan_is_neither_the_least_nor_the_greatest_unless_it_is_alone() -> None:
    assert one("min_over_time(m[5m])", math.nan, 2, 1, math.nan) == 1
    assert one("max_over_time(m[5m])", math.nan, 2, 1, math.nan) == 2
    assert math.isnan(one("max_over_time(m[5m])", math.nan, math.nan))


def test_the_mean_of_numbers_whose_sum_is_too_large() -> None:
    assert one("avg_over_time(m[5m])", 1e308, 1.5e308, 1e308) == pytest.approx(3.5 / 3 * 1e308)
    assert one("avg_over_time(m[5m])", 1, math.inf) == math.inf
    assert math.isnan(one("avg_over_time(m[5m])", -math.inf, math.inf))


def test_the_deviation_of_what_is_not_finite_is_no_number() -> None:
    assert math.isnan(one("stddev_over_time(m[5m])", math.inf))
    assert one("stddev_over_time(m[5m])", 1e9 + 0.1) == 0


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=25))
def test_the_deviation_is_that_of_a_population(values: list[float]) -> None:
    assert one("stddev_over_time(m[5m])", *values) == pytest.approx(statistics.pstdev(values), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("ratio", "value"),
    [
        ("0", 1),
        ("0.5", 2.5),
        ("1", 4),
        ("0.25", 1.75),
        ("-1", -math.inf),
        ("2", math.inf),
        ("scalar(vector(0.5))", 2.5),
    ],
)
def test_quantiles(ratio: str, value: float) -> None:
    assert at(f"quantile_over_time({ratio}, m[5m])", FOUR) == {"{a='1'}": value}


def test_a_quantile_that_is_no_number() -> None:
    assert math.isnan(at("quantile_over_time(NaN, m[5m])", FOUR)["{a='1'}"])


def test_nan_is_the_least_for_a_quantile() -> None:
    assert math.isnan(one("quantile_over_time(0, m[5m])", 1, math.nan, 2))
    assert one("quantile_over_time(0.5, m[5m])", 1, math.nan, 2) == 1
    assert one("quantile_over_time(1, m[5m])", 1, math.nan, 2) == 2


def test_a_quantile_may_change_from_step_to_step() -> None:
    found = over("quantile_over_time((time() - 30) / 10, m[1m])", FOUR, 30, 40, 10)

    assert found == {"{a='1'}": [(30, 1), (40, 4)]}


def test_a_line_is_drawn_on_into_the_future() -> None:
    samples = {"m": every(10, 10, 12, 14, 16)}

    assert at("predict_linear(m[5m], 100)", samples, 30) == {"": pytest.approx(36)}
    assert at("predict_linear(m[5m] offset 1m, 100)", samples, 90) == {"": pytest.approx(48)}


@pytest.mark.parametrize("call", ["deriv(m[5m])", "predict_linear(m[5m], 60)"])
def test_samples_of_one_time_make_no_line(call: str) -> None:
    assert at(call, {"m": [(10, 1.0), (10, 1.0)]}) == {}


def test_the_deviation_of_numbers_whose_squares_are_too_large() -> None:
    assert one("stddev_over_time(m[5m])", 1e200, 1e200) == 0


def test_the_count_of_the_original_clients() -> None:
    """The query that the autoscaler asks for throughput."""
    samples = {f"http{{source_id='G',instance_id='{n}'}}": every(1, *range(40 * (n + 1) // 2)) for n in range(2)}

    found = at("sum by (instance_id) (count_over_time(http{source_id='G'}[40s])) / 40", samples, 40)

    assert found == {"{instance_id='0'}": 0.5, "{instance_id='1'}": 1.0}
