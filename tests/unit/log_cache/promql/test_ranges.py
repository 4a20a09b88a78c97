"""The newest sample within five minutes, and all samples of a closed range; of samples with one time the last."""

import numpy as np
import pytest

from log_cache.promql.budget import Budget
from log_cache.promql.ranges import Ranges, newest, ranged, series_of, within
from log_cache.promql.values import Columns, QueryError, Series
from tests.unit.log_cache.promql.asking import at, every, over
from tests.unit.log_cache.promql.asking import series_of as written_down

M = {"m{a='1'}": every(60, 1, 2, 3)}


def found(ranges: Ranges) -> list[list[list[float]]]:
    """Of each series at each step the values in the range."""
    return [
        [ranges.values[first : first + count].tolist() for first, count in zip(*row, strict=True)]
        for row in zip(ranges.firsts, ranges.counts, strict=True)
    ]


@pytest.mark.parametrize(
    ("time", "value"),
    [(-1, None), (0, 1), (59.999, 1), (60, 2), (120, 3), (420, 3), (420.001, None)],
)
def test_the_newest_sample_no_older_than_the_look_back(time: float, value: float | None) -> None:
    assert at("m", M, time) == ({} if value is None else {"m{a='1'}": value})


def test_a_range_query_takes_the_newest_sample_at_each_step() -> None:
    assert over("m", M, 0, 420, 140) == {"m{a='1'}": [(0, 1), (140, 3), (280, 3), (420, 3)]}


@pytest.mark.parametrize(
    ("text", "value"), [("m offset 1m", 2), ("m offset -1m", 3), ("m @ 0", 1), ("m @ 0 offset -1m", 2)]
)
def test_offsets_and_fixed_moments(text: str, value: float) -> None:
    assert at(text, M, 120 if "-" not in text else 60) == {"m{a='1'}": value}


def test_the_time_of_a_sample_is_its_own_and_has_no_name() -> None:
    assert at("timestamp(m)", M, 100) == {"{a='1'}": 60}
    assert at("timestamp(m + 0)", M, 100) == {"{a='1'}": 100}


def test_a_range_is_closed_at_both_ends() -> None:
    series = written_down({"m": every(10, 1, 2, 3, 4)})
    moments = np.array([-1, 0, 10_000, 20_000, 30_000, 45_000, 51_000])

    assert found(ranged(series, moments, 20_000, moments, Budget())) == [
        [[], [1], [1, 2], [1, 2, 3], [2, 3, 4], [4], []],
    ]


def test_series_without_a_sample_in_any_range_are_left_out() -> None:
    series = written_down({"m": every(10, 1, 2), "n": [], "o": every(10, 3, start=500)})
    moments = np.array([0, 5_000])

    ranges = ranged(series, moments, 1_000, moments, Budget())

    assert (ranges.labels, found(ranges)) == ([(("__name__", "m"),)], [[[1], []]])


def test_of_samples_with_the_same_time_the_last_one_counts() -> None:
    twice = {"m": [(0, 1), (10, 2), (10, 3), (20, 4), (20, 5), (20, 6)]}

    assert at("m", twice, 10) == {"m": 3}
    assert at("count_over_time(m[1m])", twice, 20) == {"": 6}
    assert at("sum_over_time(m[1m])", twice, 20) == {"": 21}


@pytest.mark.parametrize("function", ["irate", "idelta"])
def test_between_two_samples_of_one_moment_there_is_no_rate(function: str) -> None:
    assert at(f"{function}(m[1m])", {"m": [(0, 1), (10, 2), (10, 3)]}, 20) == {}
    assert at(f"{function}(m[1m])", {"m": [(0, 1), (0, 2), (10, 3)]}, 20) != {}


def test_samples_are_cut_to_what_is_needed() -> None:
    (series,) = written_down({"m": every(1, *range(10))})

    assert within(series, 2_000, 4_000).values.tolist() == [2, 3, 4]
    assert within(series, 2_001, 2_999).values.tolist() == []


def test_two_series_with_the_same_labels_are_an_error() -> None:
    (series,) = written_down({"m": every(1, 1)})

    with pytest.raises(QueryError, match="same labelset"):
        newest([series, series], np.array([0]), Budget())


def test_the_values_of_a_subquery_are_samples_at_its_steps() -> None:
    columns = Columns([()], np.array([[1.0, 2.0, 3.0]]), np.array([[True, False, True]]))

    (series,) = series_of(columns, np.array([0, 10, 20]))

    assert (series.times.tolist(), series.values.tolist()) == ([0, 20], [1, 3])


def test_samples_and_cells_are_paid_for() -> None:
    series = [Series((), np.arange(50, dtype=np.int64), np.zeros(50))]
    moments = np.arange(7, dtype=np.int64)
    budget = Budget()

    newest(series, moments, budget)
    ranged(series, moments, 10, moments, budget)

    assert budget.spent == (50 + 7) + (50 + 7 * 4)
