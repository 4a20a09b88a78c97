"""Folding a window says what combining its elements one by one says, and nothing outside of it matters."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_cache.promql.folds import fold, moments
from log_cache.promql.values import Numbers

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


def windows(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Every window of an array of this length, empty ones too."""
    pairs = [(first, count) for first in range(length) for count in range(length - first + 1)]
    return np.array([first for first, _ in pairs]), np.array([count for _, count in pairs])


@given(values=numbers)
def test_sums_of_all_windows(values: list[float]) -> None:
    firsts, counts = windows(len(values))

    sums = fold(np.add, np.array(values), 0.0, firsts, counts)

    expected = [math.fsum(values[f : f + c]) for f, c in zip(firsts, counts, strict=True)]
    assert sums == pytest.approx(expected, rel=1e-12, abs=1e-6)


@given(values=numbers)
def test_the_least_of_all_windows(values: list[float]) -> None:
    firsts, counts = windows(len(values))

    least = fold(np.fmin, np.array(values), np.nan, firsts, counts)

    expected = [min(values[f : f + c], default=math.nan) for f, c in zip(firsts, counts, strict=True)]
    np.testing.assert_array_equal(least, expected)


def test_elements_are_combined_in_their_order() -> None:
    def latter(left: Numbers, right: Numbers) -> Numbers:
        return np.where(np.isnan(right), left, right)

    firsts, counts = windows(9)

    last = fold(latter, np.arange(9.0), np.nan, firsts[counts > 0], counts[counts > 0])

    assert last.tolist() == (firsts + counts - 1)[counts > 0].tolist()


def test_an_infinity_spoils_no_window_that_does_not_hold_it() -> None:
    values = np.array([1.0, np.inf, 2.0, 3.0, np.nan, 4.0])

    sums = fold(np.add, values, 0.0, np.array([[0, 2], [1, 5]]), np.array([[1, 2], [2, 1]]))

    assert sums.tolist() == [[1.0, 5.0], [np.inf, 4.0]]


def test_there_may_be_nothing_to_fold() -> None:
    nothing = np.zeros((0, 3), np.int64)

    assert fold(np.add, np.zeros(0), 0.0, nothing, nothing).shape == (0, 3)


@given(values=numbers)
def test_moments_of_all_windows(values: list[float]) -> None:
    firsts, counts = windows(len(values))
    firsts, counts = firsts[counts > 0], counts[counts > 0]
    x = np.arange(float(len(values)))

    count, x_mean, y_mean, xx, xy = moments(x, np.array(values), firsts, counts)

    assert count.tolist() == counts.tolist()
    for number, (first, length) in enumerate(zip(firsts, counts, strict=True)):
        some_x, some_y = x[first : first + length], np.array(values[first : first + length])
        assert x_mean[number] == pytest.approx(some_x.mean())
        assert y_mean[number] == pytest.approx(some_y.mean(), abs=1e-6)
        assert xx[number] == pytest.approx(((some_x - some_x.mean()) ** 2).sum())
        assert xy[number] == pytest.approx(((some_x - some_x.mean()) * (some_y - some_y.mean())).sum(), abs=1e-3)
