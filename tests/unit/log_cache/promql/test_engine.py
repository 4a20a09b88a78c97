"""Parts work together: what one leaves the next one takes; costs are bounded and the deadline is heard."""

import pytest

from log_cache.promql.budget import Budget
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import QueryError
from tests.unit.log_cache.promql.asking import at, evaluate, every, over

TWO = {"m{a='1',b='x'}": every(60, *range(11)), "m{a='2',b='x'}": every(60, *range(0, 22, 2))}


def test_operands_are_taken_in_their_order() -> None:
    assert at("m - m * 2 / 4", TWO, 600) == {"{a='1',b='x'}": 5, "{a='2',b='x'}": 10}
    assert at("2 ^ 3 ^ 2 + vector(0)", {}) == {"": 512}
    assert at("-2 ^ 2 + vector(0)", {}) == {"": -4}


def test_an_aggregation_with_its_parameter() -> None:
    assert at("topk(1, m)", TWO, 600) == {"m{a='2',b='x'}": 20}
    assert at("quantile by (b) (0.5, m)", TWO, 600) == {"{b='x'}": 15}


def test_functions_take_their_arguments_in_order() -> None:
    assert at('label_replace(m{a="1"}, "c", "$1-", "a", "(.*)")', TWO, 600) == {"m{a='1',b='x',c='1-'}": 10}
    assert at("clamp(m, 3, 4) > 3", TWO, 600) == {"{a='1',b='x'}": 4, "{a='2',b='x'}": 4}


def test_vectors_are_matched() -> None:
    assert at("m / on(b) group_left() sum by (b) (m)", TWO, 600) == {
        "{a='1',b='x'}": pytest.approx(1 / 3),
        "{a='2',b='x'}": pytest.approx(2 / 3),
    }
    assert at('m and m{a="2"}', TWO, 600) == {"m{a='2',b='x'}": 20}


def test_what_is_absent() -> None:
    assert at('absent(nothing{a="1"})', TWO) == {"{a='1'}": 1}
    assert at("absent(m)", TWO) == {}
    assert at('absent_over_time(m{a="3"}[5m])', TWO) == {"{a='3'}": 1}
    assert at("absent_over_time({__name__=~'m|n'}[5m])", {"m": every(60, 1), "n": every(60, 1)}) == {}
    assert over("absent_over_time(m[1m])", TWO, 600, 900, 60) == {"": [(720, 1), (780, 1), (840, 1), (900, 1)]}


def test_a_subquery_takes_what_is_in_it_at_its_own_steps() -> None:
    assert at("sum_over_time(m[4m:2m])", TWO, 600) == {"{a='1',b='x'}": 6 + 8 + 10, "{a='2',b='x'}": 12 + 16 + 20}
    assert at("sum_over_time(m[3m:2m])", TWO, 660) == {"{a='1',b='x'}": 8 + 10, "{a='2',b='x'}": 16 + 20}
    assert at("count_over_time(m[30s:1m])", TWO, 650) == {}


def test_a_subquery_of_a_subquery() -> None:
    samples = {"m": every(10, *range(100))}

    assert at("max_over_time(min_over_time(m[1m:10s])[2m:30s] offset 1m)", samples, 600) == {"": 48}


def test_a_subquery_over_a_range_is_one_evaluation_of_what_is_in_it() -> None:
    samples = {"m": every(10, *range(100))}

    assert over("max_over_time(rate(m[1m])[5m:1m])", samples, 600, 660, 60) == {
        "": [(600, pytest.approx(0.1)), (660, pytest.approx(0.1))]
    }


def test_a_scalar_of_each_step() -> None:
    assert over("time() * scalar(sum(m))", TWO, 60, 120, 60) == {"": [(60, 180), (120, 720)]}


def test_a_query_that_touches_too_much_is_refused() -> None:
    with pytest.raises(QueryError, match="too many samples") as refused:
        evaluate("sum(m)", TWO, StepTimes.instant(600_000), Budget(max_samples=10))

    assert refused.value.kind == "execution"


@pytest.mark.parametrize("text", ["count_over_time(nothing[1h:1s])", "sum_over_time(vector(1)[1h:1s])"])
def test_steps_of_a_subquery_without_any_series_are_paid_for_too(text: str) -> None:
    with pytest.raises(QueryError, match="too many samples"):
        evaluate(text, TWO, StepTimes.instant(600_000), Budget(max_samples=3_600))


def test_the_deadline_is_heard_between_parts() -> None:
    looks = iter(range(100))

    def check() -> None:
        if next(looks) == 20:
            raise QueryError("timeout", "query timed out")

    with pytest.raises(QueryError, match="timed out") as refused:
        evaluate("m" + " + m" * 20, TWO, StepTimes.instant(600_000), Budget(check=check))

    assert refused.value.kind == "timeout"


def test_the_depth_of_a_query_costs_no_stack() -> None:
    assert at("sum(" * 99 + "m" + " + 1" * 250 + ")" * 99, {"m": every(60, 1)}) == {"": 251}
