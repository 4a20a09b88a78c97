"""A query says what it needs and of whom it speaks; its answer has the form that was asked for."""

import math

import pytest

from log_cache.promql.budget import Budget
from log_cache.promql.query import Selection, parse
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import QueryError, Result, Sample, labels_of
from tests.unit.log_cache.promql.asking import evaluate, every, series_of

SAMPLES = {"m{source_id='b'}": every(60, 1, 2), "m{source_id='a'}": every(60, 3), "n{source_id='a'}": every(60, 4)}
NOW = StepTimes.instant(60_000)
RANGE = StepTimes.spaced(0, 120_000, 60_000)


def labels(name: str, source: str) -> tuple[tuple[str, str], ...]:
    return labels_of({"__name__": name, "source_id": source})


def asked(text: str, times: StepTimes = NOW) -> Result:
    result = evaluate(text, SAMPLES, times)
    assert isinstance(result, Result)
    return result


def test_selections_come_in_the_order_of_the_text() -> None:
    first, second = parse('rate(m{source_id="a"}[1m]) / n{source_id=~"b|c"}').selections(RANGE)

    assert (first.name, first.start_ms, first.end_ms, first.sources()) == ("m", -60_000, 120_000, ("a",))
    assert (second.name, second.start_ms, second.end_ms, second.sources()) == ("n", -300_000, 120_000, ("b", "c"))


def test_a_selection_knows_its_names_and_labels() -> None:
    (selection,) = parse('{__name__=~"m|n",source_id="a"}').selections(NOW)

    assert isinstance(selection, Selection)
    assert [name for name in "mno" if selection.wants(name)] == ["m", "n"]
    assert selection.accepts(labels("n", "a"))
    assert not selection.accepts(labels("n", "b"))


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ('m{source_id="a"}', None),
        ('m{source_id="a"} + rate(n[1m])', "n"),
        ('m + n{source_id="a"}', "m"),
        ('m{source_id=~"a.*"}', "m"),
        ('m{source_id!="a"}', "m"),
        ('{__name__=~"m|n"}', "m|n"),
        ("max_over_time(m[5m:1m])", "m"),
        ('{job="x"}', ""),
        ("1 + time()", None),
    ],
)
def test_the_first_metric_whose_sources_are_not_listed(text: str, metric: str | None) -> None:
    assert parse(text).without_source() == metric


def test_the_sources_of_a_query() -> None:
    assert parse('m{source_id="b"} + n{source_id=~"a|b"} + o').sources() == ("b", "a")


def test_names_of_apps_become_their_ids() -> None:
    query = parse('sum(m{source_id="shop"}) + sum(m{source_id="blog"})').renamed({"shop": ["a", "b"]})
    series = series_of(SAMPLES)

    assert query.sources() == ("a", "b")
    assert [selection.sources() for selection in query.selections(NOW)] == [("a", "b"), ()]
    assert query.evaluate(NOW, [series, series], Budget()).data == []


def test_a_renamed_query_finds_the_series_of_the_ids() -> None:
    query = parse('sum(m{source_id="shop"})').renamed({"shop": ["a", "b"]})

    assert query.evaluate(NOW, [series_of(SAMPLES)], Budget()).data == [Sample((), 60.0, 5.0)]


def test_an_instant_vector_comes_in_the_order_of_its_labels() -> None:
    assert asked("m").data == [
        Sample(labels("m", "a"), 60.0, 3.0),
        Sample(labels("m", "b"), 60.0, 2.0),
    ]
    assert asked("m").kind == "vector"


def test_sorting_says_the_order() -> None:
    assert [sample.value for sample in asked("sort({source_id=~'.+'})").data] == [2, 3, 4]
    assert [sample.value for sample in asked("sort_desc({source_id=~'.+'})").data] == [4, 3, 2]


def test_a_scalar() -> None:
    assert (asked("1 + 1").kind, asked("1 + 1").data) == ("scalar", (60.0, 2.0))
    assert math.isnan(asked("scalar(m)").data[1])


def test_a_string() -> None:
    assert (asked('"text"').kind, asked('"text"').data) == ("string", (60.0, "text"))


def test_a_range_vector_is_the_samples_themselves() -> None:
    result = asked("m[1m]")

    assert result.kind == "matrix"
    assert result.data == [(labels("m", "a"), [(0, 3)]), (labels("m", "b"), [(0, 1), (60, 2)])]


def test_a_subquery_alone_is_its_values() -> None:
    assert asked("(m * 2)[1m:30s]").data == [
        ((("source_id", "a"),), [(0, 6), (30, 6), (60, 6)]),
        ((("source_id", "b"),), [(0, 2), (30, 2), (60, 4)]),
    ]


def test_a_range_query_is_answered_with_a_matrix() -> None:
    result = asked("m", RANGE)

    assert result.kind == "matrix"
    assert result.data == [
        (labels("m", "a"), [(0, 3), (60, 3), (120, 3)]),
        (labels("m", "b"), [(0, 1), (60, 2), (120, 2)]),
    ]


def test_a_range_of_one_step_is_a_matrix_too() -> None:
    assert asked("m", StepTimes.spaced(0, 0, 1)).kind == "matrix"


def test_a_scalar_over_a_range_is_a_series_without_labels() -> None:
    assert asked("time()", RANGE).data == [((), [(0, 0), (60, 60), (120, 120)])]


def test_nothing_is_an_empty_answer() -> None:
    assert asked("nothing").data == []
    assert asked("nothing", RANGE).data == []
    assert asked("nothing[1m]").data == []


@pytest.mark.parametrize(("text", "kind"), [("m[1m]", "range vector"), ("m[5m:1m]", "range vector"), ('"x"', "string")])
def test_a_range_query_is_one_of_scalars_or_instant_vectors(text: str, kind: str) -> None:
    with pytest.raises(QueryError, match=f'invalid expression type "{kind}" for range query') as refused:
        asked(text, RANGE)

    assert refused.value.kind == "bad_data"


def test_series_and_samples_that_were_not_asked_for_are_ignored() -> None:
    query = parse('sum(m{source_id="a"})')

    assert query.evaluate(NOW, [series_of(SAMPLES)], Budget()).data == [Sample((), 60.0, 3.0)]
