"""Rates as Prometheus has them: extrapolated to the range, never below zero, resets made good."""

import math

import pytest

from tests.unit.log_cache.promql.asking import at, every


def one(text: str, *samples: tuple[float, float], time: float = 300) -> float | None:
    """The one value that is found, if any is."""
    return at(text, {"m": samples}, time).get("")


def test_samples_that_fill_the_range_are_not_stretched() -> None:
    samples = every(60, 10, 20, 30, 40, 50, 60)

    assert one("increase(m[5m])", *samples) == pytest.approx(50)
    assert one("rate(m[5m])", *samples) == pytest.approx(50 / 300)
    assert one("delta(m[5m])", *samples) == pytest.approx(50)


def test_samples_near_the_ends_are_stretched_to_them() -> None:
    samples = every(60, 100, 110, 120, 130, start=60)  # from 60 to 240 of 0 to 300, each end 60 away: near

    assert one("increase(m[5m])", *samples) == pytest.approx(30 * 300 / 180)


def test_samples_far_from_the_ends_are_stretched_by_half_a_distance() -> None:
    samples = every(10, 100, 110, 120, start=100)

    assert one("increase(m[5m])", *samples) == pytest.approx(20 * (20 + 5 + 5) / 20)


def test_a_counter_does_not_begin_below_zero_and_a_gauge_may() -> None:
    samples = every(60, 5, 65, 125, 185, start=60)  # zero was 5 s before the first sample

    assert one("increase(m[5m])", *samples) == pytest.approx(180 * (180 + 5 + 60) / 180)
    assert one("delta(m[5m])", *samples) == pytest.approx(180 * 300 / 180)


def test_a_reset_is_made_good() -> None:
    samples = every(60, 10, 20, 5, 15, 3, 8)

    assert one("increase(m[5m])", *samples) == pytest.approx(8 - 10 + 20 + 15)
    assert one("delta(m[5m])", *samples) == pytest.approx(-2)


def test_a_reset_outside_of_the_range_does_not_count() -> None:
    samples = every(60, 1e18, 0, 10, 20, 30, 40)

    assert one("increase(m[4m])", *samples) == pytest.approx(40)


def test_a_fall_from_infinity_spoils_no_later_range() -> None:
    samples = every(60, math.inf, 0, 10, 20, 10, 20)

    assert one("increase(m[4m])", *samples) == pytest.approx(40)


@pytest.mark.parametrize("function", ["rate", "increase", "delta", "irate", "idelta"])
def test_one_sample_makes_no_rate(function: str) -> None:
    assert one(f"{function}(m[5m])", (10, 1)) is None
    assert one(f"{function}(m[5m])", (10, 1), (10, 2)) is None


def test_the_range_moves_with_the_offset() -> None:
    samples = every(60, 10, 20, 30, 40, 50, 60)

    assert one("increase(m[5m] offset 10m)", *samples, time=900) == pytest.approx(50)


def test_irate_and_idelta_look_at_the_last_two_samples() -> None:
    assert one("irate(m[5m])", (0, 1), (10, 5), (30, 25)) == 1
    assert one("idelta(m[5m])", (0, 1), (10, 5), (30, 25)) == 20


def test_irate_counts_from_zero_after_a_reset() -> None:
    assert one("irate(m[5m])", (10, 100), (30, 40)) == 2
    assert one("idelta(m[5m])", (10, 100), (30, 40)) == -60


def test_changes_and_resets() -> None:
    samples = every(10, 1, 1, 2, math.nan, math.nan, 1, 0, 0)

    assert one("changes(m[5m])", *samples) == 4
    assert one("resets(m[5m])", *samples) == 1
    assert one("changes(m[5m])", (10, 1)) == 0


def test_every_series_has_its_own_rate() -> None:
    samples = {"m{a='1'}": every(60, 0, 1, 2, 3, 4, 5), "m{a='2'}": every(60, 100, 90, 110, 130, 150, 170)}

    assert at("increase(m[5m])", samples) == {"{a='1'}": pytest.approx(5), "{a='2'}": pytest.approx(170)}
