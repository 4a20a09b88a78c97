import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_cache.promql.histograms import histogram_quantile
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Columns, Numeric
from tests.unit.log_cache.promql.tables import Table, labels, shown, table

INSTANT = StepTimes.instant(0)


def quantile(ratios: Sequence[float], series: Table) -> Table:
    return shown(histogram_quantile([Numeric(np.array(ratios, np.float64)), table(series)], INSTANT))


def test_a_quantile_lies_within_its_bucket() -> None:
    series = {
        "t_bucket app=a le=1": "10 10 10",
        "t_bucket app=a le=2": "20 20 20",
        "t_bucket app=a le=+Inf": "20 20 40",
    }

    assert quantile([0.25, 0.75, 0.25], series) == {"app=a": "0.5 1.5 1"}


def test_each_histogram_has_its_own() -> None:
    series = {
        "t le=1 app=a": "10",
        "t le=+Inf app=b": "4",
        "t le=+Inf app=a": "10",
        "t le=4 app=b": "4",
        "t le=2 app=b": "0",
    }

    assert quantile([0.5], series) == {"app=a": "0.5", "app=b": "3"}


def test_in_the_last_bucket_it_is_the_highest_bound() -> None:
    assert quantile([0.9], {"t le=1": "1", "t le=8": "2", "t le=+Inf": "10"}) == {"": "8"}


def test_a_lowest_bound_below_zero_is_the_answer() -> None:
    assert quantile([0.1, 0.5], {"t le=-1": "5 1", "t le=1": "6 3", "t le=+Inf": "6 3"}) == {"": "-1 -0.5"}


@pytest.mark.parametrize(
    "series",
    [
        {"t le=1": "1", "t le=2": "1"},
        {"t le=+Inf": "1"},
        {"t le=1": "0", "t le=+Inf": "0"},
        {"t le=1": "1", "t le=+Inf": "_"},
    ],
)
def test_of_a_poor_histogram_it_is_nan(series: Table) -> None:
    assert quantile([0.5], series) == {"": "NaN"}
    assert quantile([2], series) == {"": "+Inf"}


def test_ratios_outside_0_and_1_are_infinite() -> None:
    steps = " ".join(["10"] * 5)

    assert quantile([-0.1, 0, 1, 1.1, math.nan], {"t le=1": steps, "t le=+Inf": steps}) == {"": "-Inf 0 1 +Inf NaN"}


def test_series_without_a_bound_are_no_buckets() -> None:
    assert quantile([0.5], {"t": "1", "t le=x": "1", "t le=nan": "1"}) == {}


def test_bounds_written_in_two_ways_are_one_bucket() -> None:
    series = {"t le=1": "5 _ 5", "t le=1.0": "5 5 _", "t le=+Inf": "20 20 20"}

    assert quantile([0.25, 0.25, 0.25], series) == {"": "0.5 1 1"}


def test_a_bucket_that_is_absent_is_passed_over() -> None:
    full = {"t le=1": "2", "t le=2": "4", "t le=4": "8", "t le=+Inf": "8"}
    for gone in ("t le=1", "t le=2"):
        assert quantile([0.75], full | {gone: "_"}) == quantile([0.75], {k: v for k, v in full.items() if k != gone})
    assert quantile([0], full | {"t le=1": "_"}) == {"": "0"}


def test_counts_that_fall_are_repaired() -> None:
    assert quantile([0.5], {"t le=1": "10", "t le=2": "6", "t le=+Inf": "10"}) == {"": "0.5"}


def test_rounding_makes_no_observations() -> None:
    assert quantile([1], {"t le=1": "100", "t le=2": "100.00000000001", "t le=+Inf": "100.00000000001"}) == {"": "1"}


def naive(ratio: float, buckets: list[tuple[float, float]]) -> float:
    """Prometheus's definition, one bucket after the other."""
    if len(buckets) < 2 or buckets[-1][0] != math.inf or buckets[-1][1] == 0:
        return math.nan
    rank = ratio * buckets[-1][1]
    begin, below = 0.0, 0.0
    for place, (bound, count) in enumerate(buckets[:-1]):
        if count >= rank:
            if place == 0 and bound <= 0:
                return bound
            return begin + (bound - begin) * (rank - below) / (count - below) if count > below else math.nan
        begin, below = bound, count
    return buckets[-2][0]


@given(
    st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=4, max_size=4), min_size=1, max_size=4),
    st.sampled_from([0, 0.1, 0.5, 0.99, 1]),
)
def test_it_agrees_with_the_definition(steps: list[list[tuple[bool, int]]], ratio: float) -> None:
    bounds = [-1.0, 0.5, 2.0, math.inf]
    present = np.array([[there for there, _ in step] for step in steps]).T
    counts = np.cumsum([[there * count for there, count in step] for step in steps], axis=1, dtype=np.float64).T
    columns = Columns([labels(f"t le={bound}") for bound in bounds], counts, present)

    result = histogram_quantile([Numeric(np.full(len(steps), ratio)), columns], INSTANT)

    assert isinstance(result, Columns)
    for step in range(len(steps)):
        buckets = [(bound, counts[row, step]) for row, bound in enumerate(bounds) if present[row, step]]
        assert not buckets or result.present[0, step]
        assert not buckets or result.values[0, step] == pytest.approx(naive(ratio, buckets), nan_ok=True)
