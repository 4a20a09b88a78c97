import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.numbers_as_text import shortest
from envelope.pb import logcache_v1_pb2 as logcache
from log_cache.promql.answers import to_instant_result, to_json, to_range_result
from log_cache.promql.values import QueryError, Result, Sample, labels_of
from tests.unit.log_cache.promql.tables import labels

EDGES = [
    *[0.0, -0.0, 1.0, -2.5, 0.1, 100.0, 1e15, 1e16, 1e21, 1.5e22, 1e300, 123456789012345680000.0, 0.0001, 0.00001],
    *[1e-6, 1e-7, 1.25e-7, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, math.nan, math.inf, -math.inf],
]


def data(result: Result) -> Any:
    answer = json.loads(to_json(result))
    assert answer["status"] == "success"
    assert answer["data"]["resultType"] == result.kind
    return answer["data"]["result"]


def test_a_vector_to_the_letter() -> None:
    result = Result("vector", [Sample(labels("app=a b=c"), 1.0, 2.0), Sample((), 1.0, math.nan)])

    assert to_json(result) == (
        b'{"status":"success","data":{"resultType":"vector","result":['
        b'{"metric":{"app":"a","b":"c"},"value":[1.000,"2"]},{"metric":{},"value":[1.000,"NaN"]}]}}'
    )


def test_a_matrix_to_the_letter() -> None:
    result = Result("matrix", [(labels("a=1"), [(1.5, 0.5), (3.0, -math.inf)]), ((), [(1.5, 1e21)])])

    assert to_json(result) == (
        b'{"status":"success","data":{"resultType":"matrix","result":['
        b'{"metric":{"a":"1"},"values":[[1.500,"0.5"],[3.000,"-Inf"]]},'
        b'{"metric":{},"values":[[1.500,"1000000000000000000000"]]}]}}'
    )


def test_scalars_and_strings_to_the_letter() -> None:
    assert to_json(Result("scalar", (1.5, 2.0))) == (
        b'{"status":"success","data":{"resultType":"scalar","result":[1.500,"2"]}}'
    )
    assert to_json(Result("string", (0.0, 'say "é"'))) == (
        '{"status":"success","data":{"resultType":"string","result":[0.000,"say \\"é\\""]}}'.encode()
    )


@pytest.mark.parametrize("kind", ["vector", "matrix"])
def test_an_empty_result_is_an_empty_list(kind: Any) -> None:
    assert data(Result(kind, [])) == []


@pytest.mark.parametrize("value", EDGES)
def test_values_are_written_without_exponents(value: float) -> None:
    alone = data(Result("matrix", [((), [(0.0, value)])]))
    among_others = data(Result("vector", [Sample((), 0.0, each) for each in (1.0, value, 0.5)]))

    assert alone[0]["values"][0][1] == among_others[1]["value"][1] == shortest(value)


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0.0, "0.000"), (-1.5, "-1.500"), (1_700_000_000.123, "1700000000.123"), (1e10, "10000000000.000")],
)
def test_times_have_three_decimals(time_s: float, text: str) -> None:
    assert f"[{text}," in to_json(Result("scalar", (time_s, 1.0))).decode()
    assert f"[{text}," in to_json(Result("vector", [Sample((), time_s, 1.0)])).decode()
    assert f"[{text}," in to_json(Result("matrix", [((), [(time_s, 1.0)])])).decode()


texts = st.text(st.characters(codec="utf-8"), max_size=8)
metrics = st.dictionaries(texts, texts, max_size=3).map(labels_of)
points = st.lists(
    st.tuples(st.integers(-(10**9), 10**13).map(lambda ms: ms / 1000), st.floats()), min_size=1, max_size=8
)


@given(st.lists(st.tuples(metrics, points), max_size=4))
def test_a_matrix_reads_back(series: list[tuple[Any, list[tuple[float, float]]]]) -> None:
    read = data(Result("matrix", series))

    assert [labels_of(each["metric"]) for each in read] == [each for each, _ in series]
    for each, (_, sent) in zip(read, series, strict=True):
        assert [time_s for time_s, _ in each["values"]] == [time_s for time_s, _ in sent]
        assert [text for _, text in each["values"]] == [shortest(value) for _, value in sent]
        assert [float(text) for _, text in each["values"]] == pytest.approx(
            [v for _, v in sent], rel=0, abs=0, nan_ok=True
        )


def instant(result: Result) -> logcache.PromQL.InstantQueryResult:
    return logcache.PromQL.InstantQueryResult.FromString(to_instant_result(result))


def test_a_scalar_as_a_message() -> None:
    assert instant(Result("scalar", (1.5, 2.0))) == logcache.PromQL.InstantQueryResult(
        scalar=logcache.PromQL.Scalar(time="1.500", value=2.0)
    )


def test_a_vector_as_a_message() -> None:
    expected = logcache.PromQL.Sample(metric={"a": "1"}, point=logcache.PromQL.Point(time="1.000", value=0.0))

    read = instant(Result("vector", [Sample(labels("a=1"), 1.0, 0.0)]))

    assert list(read.vector.samples) == [expected]


@pytest.mark.parametrize("kind", ["vector", "matrix"])
def test_an_empty_message_still_says_what_it_is(kind: Any) -> None:
    assert instant(Result(kind, [])).WhichOneof("Result") == kind


def test_a_matrix_as_a_message() -> None:
    result = Result("matrix", [(labels("a=1"), [(1.0, 0.5), (2.5, math.inf)]), ((), [(1.0, 3.0)])])

    for read in (instant(result), logcache.PromQL.RangeQueryResult.FromString(to_range_result(result))):
        assert [dict(series.metric) for series in read.matrix.series] == [{"a": "1"}, {}]
        assert [[(point.time, point.value) for point in series.points] for series in read.matrix.series] == [
            [("1.000", 0.5), ("2.500", math.inf)],
            [("1.000", 3.0)],
        ]


def test_an_empty_range_is_a_matrix() -> None:
    assert (
        logcache.PromQL.RangeQueryResult.FromString(to_range_result(Result("matrix", []))).WhichOneof("Result")
        == "matrix"
    )


def test_a_string_has_no_message() -> None:
    with pytest.raises(QueryError, match="a string has no form"):
        to_instant_result(Result("string", (0.0, "a")))
