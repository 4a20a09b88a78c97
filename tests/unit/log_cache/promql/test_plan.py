"""When a selector looks, and at which moments a subquery evaluates what is in it."""

import pytest

from log_cache.promql.plan import Scope, When
from log_cache.promql.planning import plan_of
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import QueryError

QUERY = StepTimes.spaced(100_000, 160_000, 30_000)
PLAIN = When(None, 0)


def windows(text: str, times: StepTimes = QUERY) -> list[tuple[int, int]]:
    plan = plan_of(text)
    return plan.windows(plan.times(times))


@pytest.mark.parametrize(
    ("when", "moments"),
    [
        (PLAIN, [100_000, 130_000, 160_000]),
        (When(None, 5_000), [95_000, 125_000, 155_000]),
        (When(None, -5_000), [105_000, 135_000, 165_000]),
        (When(7_000, 0), [7_000] * 3),
        (When(7_000, 1_000), [6_000] * 3),
        (When("start", 0), [100_000] * 3),
        (When("end", 0), [160_000] * 3),
    ],
)
def test_moments(when: When, moments: list[int]) -> None:
    assert when.moments(QUERY, QUERY).tolist() == moments
    assert when.bounds(QUERY, QUERY) == (moments[0], moments[-1])


def test_start_and_end_are_those_of_the_whole_query_inside_a_subquery_too() -> None:
    inner = StepTimes.spaced(0, 60_000, 60_000)

    assert When("end", 0).moments(inner, QUERY).tolist() == [160_000] * 2


@pytest.mark.parametrize(
    ("range_ms", "step_ms", "moments"),
    [
        (60_000, 60_000, [60_000, 120_000]),
        (40_000, 60_000, [60_000, 120_000]),
        (39_999, 60_000, [120_000]),
        (60_000, 7_000, list(range(42_000, 160_001, 7_000))),
    ],
)
def test_a_subquery_is_evaluated_at_multiples_of_its_step(range_ms: int, step_ms: int, moments: list[int]) -> None:
    assert Scope(0, PLAIN, range_ms, step_ms).times(QUERY, QUERY).times.tolist() == moments


def test_a_subquery_before_1970_is_aligned_upwards_too() -> None:
    times = StepTimes.instant(-100_000)

    assert Scope(0, PLAIN, 60_000, 45_000).times(times, times).times.tolist() == [-135_000]


def test_a_subquery_without_a_multiple_in_its_range_looks_at_the_one_behind_it() -> None:
    times = StepTimes.instant(100_000)

    assert Scope(0, PLAIN, 1_000, 60_000).times(times, times).times.tolist() == [120_000]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m", [(-200_000, 160_000)]),
        ("m offset 1m", [(-260_000, 100_000)]),
        ("rate(m[1m])", [(40_000, 160_000)]),
        ("rate(m[1m] @ 10 offset 2s)", [(-52_000, 8_000)]),
        ("m + rate(n[1m])", [(-200_000, 160_000), (40_000, 160_000)]),
        ("max_over_time(rate(m[1m])[2m:30s])", [(-60_000, 150_000)]),
        ("sum_over_time(sum_over_time(m[2m:1m])[1m:1m])", [(-360_000, 120_000)]),
        ("1", []),
    ],
)
def test_the_samples_that_a_query_needs(text: str, expected: list[tuple[int, int]]) -> None:
    assert windows(text) == expected


def test_a_subquery_of_too_many_moments_is_refused_before_anything_is_made_of_them() -> None:
    with pytest.raises(QueryError, match="too many samples") as refused:
        windows("max_over_time(m[1000y:1ms])")

    assert refused.value.kind == "execution"
