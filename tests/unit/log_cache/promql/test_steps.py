"""The moments of a query: evenly spaced, both ends included, no more than Prometheus allows."""

import pytest

from log_cache.promql.steps import MAX_STEPS, StepTimes
from log_cache.promql.values import QueryError


def test_an_instant_query_has_one_moment() -> None:
    times = StepTimes.instant(1_500)

    assert times.is_instant
    assert times.times.tolist() == [1_500]


def test_a_range_includes_its_end_only_if_a_step_falls_on_it() -> None:
    assert StepTimes.spaced(0, 30, 10).times.tolist() == [0, 10, 20, 30]
    assert StepTimes.spaced(5, 29, 10).times.tolist() == [5, 15, 25]


def test_a_range_of_one_moment_is_no_instant_query() -> None:
    times = StepTimes.spaced(7, 7, 10)

    assert not times.is_instant
    assert times.times.tolist() == [7]


@pytest.mark.parametrize(
    ("start", "end", "step", "message"),
    [
        (0, 10, 0, "zero or negative query resolution"),
        (0, 10, -1, "zero or negative query resolution"),
        (10, 0, 1, "end timestamp must not be before start time"),
        (0, MAX_STEPS, 1, "exceeded maximum resolution of 11,000 points"),
        (0, 1 << 60, 1 << 59, "out of range"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(start: int, end: int, step: int, message: str) -> None:
    with pytest.raises(QueryError, match=message) as refused:
        StepTimes.spaced(start, end, step)

    assert refused.value.kind == "bad_data"


def test_as_many_steps_as_are_allowed() -> None:
    assert len(StepTimes.spaced(0, MAX_STEPS - 1, 1).times) == MAX_STEPS
