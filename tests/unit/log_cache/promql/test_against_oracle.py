"""The engine says what a plain reading of PromQL says, for every function and operator, and for them nested at random.

`PROMQL_CASES=1000` in the environment tries so many cases of each in place of a few, and other ones every time.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, reject, settings

from log_cache.promql import query as engine
from log_cache.promql.budget import Budget
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import QueryError, Result, Series
from tests.promql_oracle import Answer, Failure, Raw, ask_at, ask_over
from tests.promql_oracle.known import KNOWN, Known
from tests.promql_oracle.vectors import labels_from
from tests.promql_strategies import FORMS, Case, cases_of, nested_cases

CASES = int(os.environ.get("PROMQL_CASES", "0"))
TOLERANCE = 1e-9
settings.register_profile(
    "promql",
    deadline=None,
    database=None,
    derandomize=not CASES,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def few(count: int) -> settings:
    return settings(settings.get_profile("promql"), max_examples=CASES or count)


def as_series(raw: Raw) -> Series:
    times = np.array([time_ms for time_ms, _ in raw.points], dtype=np.int64)
    return Series(labels_from(raw.labels), times, np.array([value for _, value in raw.points], dtype=np.float64))


def step_times(times_ms: Sequence[int]) -> StepTimes:
    if len(times_ms) == 1:
        return StepTimes.instant(times_ms[0])
    return StepTimes.spaced(times_ms[0], times_ms[-1], times_ms[1] - times_ms[0])


def asked_for(selection: engine.Selection, recorded: Sequence[Raw]) -> list[Series]:
    """Exactly the samples that a selection asks for."""
    return [
        as_series(Raw(raw.labels, [p for p in raw.points if selection.start_ms <= p[0] <= selection.end_ms]))
        for raw in recorded
        if selection.accepts(labels_from(raw.labels))
    ]


def everything(_: engine.Selection, recorded: Sequence[Raw]) -> list[Series]:
    return [as_series(raw) for raw in recorded]


def result_of(case: Case, times: StepTimes, given_for: Callable[..., list[Series]] = asked_for) -> Result:
    query = engine.parse(case.expression)
    series = [given_for(selection, case.series) for selection in query.selections(times)]
    return query.evaluate(times, series, Budget())


def engines_answer(
    case: Case, times: StepTimes | None = None, given_for: Callable[..., list[Series]] = asked_for
) -> Answer | None:
    """What the engine says; None if it refuses."""
    try:
        result = result_of(case, times or step_times(case.times_ms), given_for)
    except QueryError:
        return None
    if result.kind == "scalar":
        return {(): [(round(result.data[0] * 1000), result.data[1])]}
    if result.kind == "vector":
        return {sample.labels: [(round(sample.time_s * 1000), sample.value)] for sample in result.data}
    return {labels: [(round(time_s * 1000), value) for time_s, value in points] for labels, points in result.data}


def oracles_answer(case: Case, noise: random.Random | None = None) -> Answer | None:
    """What the oracle says; None if there is no answer."""
    try:
        if len(case.times_ms) == 1:
            return ask_at(case.expression, case.series, case.times_ms[0], noise)
        return ask_over(case.expression, case.series, case.times_ms, noise)
    except Failure:
        return None


def close(a: float, b: float) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=1e-11)


def same(one: Answer | None, other: Answer | None) -> bool:
    """The same labels, at the same times, with values that differ by rounding at most."""
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(
        [time_ms for time_ms, _ in one[labels]] == [time_ms for time_ms, _ in other[labels]]
        and all(close(a, b) for (_, a), (_, b) in zip(one[labels], other[labels], strict=True))
        for labels in one
    )


def check(case: Case) -> None:
    """Compare the two, but for answers that hang on how somebody rounds, or on an order that nobody promises."""
    expected, said = oracles_answer(case), engines_answer(case)
    if same(expected, said):
        return
    if not all(same(expected, oracles_answer(case, random.Random(seed))) for seed in range(8)):
        reject()
    note(f"query:    {case.expression}\nexpected: {expected}\nsaid:     {said}")
    raise AssertionError(f"the engine differs on {case.expression}")


@pytest.mark.parametrize("name", FORMS)
def test_engine_and_oracle_agree(name: str) -> None:
    @few(40)
    @given(cases_of(name))
    def agree(case: Case) -> None:
        check(case)

    agree()


@few(600)
@given(nested_cases(3))
def test_engine_and_oracle_agree_on_nested_expressions(case: Case) -> None:
    check(case)


@few(60)
@given(nested_cases(2))
def test_samples_that_were_not_asked_for_change_nothing(case: Case) -> None:
    assert same(engines_answer(case), engines_answer(case, given_for=everything))


@few(60)
@given(nested_cases(2))
def test_a_range_query_of_one_moment_says_what_the_instant_query_says(case: Case) -> None:
    (now_ms, *_), once = case.times_ms, replace(case, times_ms=case.times_ms[:1])

    assert same(engines_answer(once), engines_answer(once, StepTimes.spaced(now_ms, now_ms, 1000)))


@pytest.mark.parametrize("query", ["sort({})", "sort_desc({})", "sort(-{})"])
def test_sorted_samples_are_in_their_order(query: str) -> None:
    @few(24)
    @given(cases_of("matchers"))
    def ordered(case: Case) -> None:
        sorting = replace(case, expression=query.format(case.expression), times_ms=case.times_ms[:1])
        expected = oracles_answer(sorting)
        if expected is None:
            reject()
        said = [sample.value for sample in result_of(sorting, step_times(sorting.times_ms)).data]

        assert said == pytest.approx([value for ((_, value),) in expected.values()], nan_ok=True)

    ordered()


def known_case(known: Known) -> tuple[Case, Answer | None]:
    now_ms = round(known.at_s * 1000)
    says = None if known.says is None else {labels: [(now_ms, value)] for labels, value in known.says.items()}
    return Case(known.query, list(known.series), [now_ms]), says


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.query} @ {known.at_s}")
def test_the_oracle_says_what_is_known(known: Known) -> None:
    case, says = known_case(known)

    assert same(oracles_answer(case), says)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.query} @ {known.at_s}")
def test_the_engine_says_what_is_known(known: Known) -> None:
    case, says = known_case(known)

    assert same(engines_answer(case), says)
