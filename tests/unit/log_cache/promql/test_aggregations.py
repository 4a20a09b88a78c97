import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_cache.promql import aggregations, rows
from log_cache.promql.aggregations import REDUCTIONS
from log_cache.promql.rows import windows
from log_cache.promql.values import Columns, Numeric, QueryError, Text
from tests.unit.log_cache.promql.tables import Table, labels, shown, table

APPS = {
    "up app=a zone=x": "1 5 _",
    "up app=a zone=y": "3 _ _",
    "up app=b zone=x": "2 nan _",
    "up app=b zone=y": "8 4 _",
    "up zone=z": "_ 7 _",
}


def aggregate(
    op: str,
    series: Table,
    *,
    by: Sequence[str] | None = None,
    without: Sequence[str] | None = None,
    parameter: Sequence[float] | str | None = None,
) -> Table:
    given = Text(parameter) if isinstance(parameter, str) else None if parameter is None else scalar(parameter)
    return shown(aggregations.aggregate(op, table(series), by=by, without=without, parameter=given))


def scalar(values: Sequence[float]) -> Numeric:
    return Numeric(np.array(values, np.float64))


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("sum", {"app=a": "4 5 _", "app=b": "10 NaN _", "": "_ 7 _"}),
        ("avg", {"app=a": "2 5 _", "app=b": "5 NaN _", "": "_ 7 _"}),
        ("min", {"app=a": "1 5 _", "app=b": "2 4 _", "": "_ 7 _"}),
        ("max", {"app=a": "3 5 _", "app=b": "8 4 _", "": "_ 7 _"}),
        ("count", {"app=a": "2 1 _", "app=b": "2 2 _", "": "_ 1 _"}),
        ("group", {"app=a": "1 1 _", "app=b": "1 1 _", "": "_ 1 _"}),
        ("stdvar", {"app=a": "1 0 _", "app=b": "9 NaN _", "": "_ 0 _"}),
        ("stddev", {"app=a": "1 0 _", "app=b": "3 NaN _", "": "_ 0 _"}),
    ],
)
def test_each_operator_takes_what_is_present_at_a_step(op: str, expected: Table) -> None:
    assert aggregate(op, APPS, by=["app"]) == expected


def test_without_a_grouping_all_series_are_one() -> None:
    assert aggregate("count", APPS) == {"": "4 4 _"}


def test_without_leaves_out_labels_and_the_name() -> None:
    assert aggregate("count", APPS, without=["zone"]) == {"app=a": "2 1 _", "app=b": "2 2 _", "": "_ 1 _"}
    assert aggregate("count", {"up app=a": "1"}, without=[]) == {"app=a": "1"}


def test_by_keeps_the_name_only_if_it_is_named() -> None:
    series = {"up app=a": "1", "down app=a": "2"}

    assert aggregate("sum", series, by=["app"]) == {"app=a": "3"}
    assert aggregate("sum", series, by=["__name__"]) == {"up": "1", "down": "2"}


@pytest.mark.parametrize("op", [*REDUCTIONS, "topk", "quantile", "count_values"])
def test_of_nothing_there_is_nothing(op: str) -> None:
    parameter = {"topk": scalar([1, 1]), "quantile": scalar([0.5, 0.5]), "count_values": Text("v")}.get(op)

    result = aggregations.aggregate(op, table({}, steps=2), by=None, without=None, parameter=parameter)

    assert shown(result) == {}
    assert result.values.shape == (0, 2)


def test_min_and_max_are_nan_only_if_all_is() -> None:
    assert aggregate("min", {"a=1": "nan nan", "a=2": "nan 1"}) == {"": "NaN 1"}
    assert aggregate("max", {"a=1": "nan nan", "a=2": "nan -inf"}) == {"": "NaN -Inf"}


def test_a_sum_keeps_what_rounding_would_lose() -> None:
    assert aggregate("sum", {"a=1": "1e100 1", "a=2": "1 _", "a=3": "-1e100 2"}) == {"": "1 3"}


def test_an_average_does_not_overflow() -> None:
    assert aggregate("avg", {"a=1": "1.5e308 inf inf", "a=2": "1.5e308 1 -inf"}) == {"": "15" + "0" * 307 + " +Inf NaN"}


def test_equal_numbers_do_not_vary_at_all() -> None:
    assert aggregate("stdvar", {f"a={n}": "0.1 1e17" for n in range(7)}) == {"": "0 0"}


def test_infinity_has_no_variance() -> None:
    assert aggregate("stddev", {"a=1": "inf 1 _", "a=2": "1 -inf inf"}) == {"": "NaN NaN NaN"}


def test_topk_keeps_labels_and_chooses_at_each_step() -> None:
    assert aggregate("topk", APPS, by=["zone"], parameter=[1, 1, 1]) == {
        "up app=a zone=x": "_ 5 _",
        "up app=b zone=x": "2 _ _",
        "up app=b zone=y": "8 4 _",
        "up zone=z": "_ 7 _",
    }


def test_bottomk_chooses_the_smallest() -> None:
    assert aggregate("bottomk", APPS, by=["zone"], parameter=[1, 1, 1]) == {
        "up app=a zone=x": "1 5 _",
        "up app=a zone=y": "3 _ _",
        "up app=b zone=y": "_ 4 _",
        "up zone=z": "_ 7 _",
    }


def test_how_many_may_differ_at_each_step() -> None:
    series = {"a=1": "1 1 1 1", "a=2": "2 2 2 2"}

    assert aggregate("topk", series, parameter=[0, 1.9, 2, 1e18]) == {"a=1": "_ _ 1 1", "a=2": "_ 2 2 2"}
    assert aggregate("topk", series, parameter=[-1, 0.9, -5, 0]) == {}


def test_nan_is_the_last_to_be_chosen() -> None:
    series = {"a=1": "nan nan nan", "a=2": "_ -inf inf", "a=3": "_ 1 1"}

    assert aggregate("topk", series, parameter=[2, 2, 2]) == {"a=1": "NaN _ _", "a=2": "_ -Inf +Inf", "a=3": "_ 1 1"}
    assert aggregate("bottomk", series, parameter=[2, 2, 2]) == {"a=1": "NaN _ _", "a=2": "_ -Inf +Inf", "a=3": "_ 1 1"}


def test_of_equal_samples_the_earlier_series_is_chosen() -> None:
    series = {f"a={n}": "0 -0" if n % 2 else "-0 0" for n in range(5)}

    assert list(aggregate("topk", series, parameter=[2, 2])) == ["a=0", "a=1"]
    assert list(aggregate("bottomk", series, parameter=[2, 2])) == ["a=0", "a=1"]


def test_a_single_step_comes_in_order() -> None:
    series = {"g=x a=1": "1", "g=y a=2": "5", "g=x a=3": "3", "g=x a=4": "nan"}

    assert list(aggregate("topk", series, by=["g"], parameter=[3])) == ["a=3 g=x", "a=1 g=x", "a=4 g=x", "a=2 g=y"]
    assert list(aggregate("bottomk", series, by=["g"], parameter=[2])) == ["a=1 g=x", "a=3 g=x", "a=2 g=y"]


@pytest.mark.parametrize(
    ("size", "text"), [(math.nan, "NaN"), (math.inf, r"\+Inf"), (2.0**63, r"9.223372036854776e\+18")]
)
def test_a_size_that_is_no_integer_is_an_error(size: float, text: str) -> None:
    with pytest.raises(QueryError, match=f"Scalar value {text} overflows int64"):
        aggregate("topk", {"a=1": "1"}, parameter=[size])


def test_a_quantile_lies_between_two_samples() -> None:
    series = {"a=1": "1 1 _ 7", "a=2": "4 _ _ 1", "a=3": "2 3 _ 5"}

    assert aggregate("quantile", series, parameter=[0.5, 0.25, 0.5, 0.75]) == {"": "2 1.5 _ 6"}


def test_quantiles_outside_0_and_1_are_infinite() -> None:
    series = {"a=1": "1 1 1 1 1"}

    assert aggregate("quantile", series, parameter=[-0.1, 0, 1, 1.1, math.nan]) == {"": "-Inf 1 1 +Inf NaN"}


def test_nan_is_the_least_of_a_quantile() -> None:
    series = {"a=1": "nan nan", "a=2": "1 1", "a=3": "2 2", "a=4": "_ _"}

    assert aggregate("quantile", series, parameter=[0, 1]) == {"": "NaN 2"}
    assert aggregate("quantile", series, parameter=[0.5, 0.75]) == {"": "1 1.5"}


def test_count_values_writes_the_value_into_a_label() -> None:
    series = {"v app=a": "1 0.5 nan -0", "v app=b": "1 1e21 nan 0", "v app=c": "2 _ 1 _"}

    assert aggregate("count_values", series, parameter="n") == {
        "n=1": "2 _ 1 _",
        "n=0.5": "_ 1 _ _",
        "n=NaN": "_ _ 2 _",
        "n=-0": "_ _ _ 1",
        "n=1000000000000000000000": "_ 1 _ _",
        "n=0": "_ _ _ 1",
        "n=2": "1 _ _ _",
    }


def test_count_values_by_and_without() -> None:
    series = {"v app=a x=1": "1", "v app=a x=2": "1", "v app=b x=1": "1"}

    assert aggregate("count_values", series, by=["app"], parameter="n") == {"app=a n=1": "2", "app=b n=1": "1"}
    assert aggregate("count_values", series, without=["x"], parameter="n") == {"app=a n=1": "2", "app=b n=1": "1"}
    assert aggregate("count_values", series, without=["x", "n"], parameter="n") == {"app=a": "2", "app=b": "1"}
    assert aggregate("count_values", series, by=[], parameter="x") == {"x=1": "3"}


def test_count_values_needs_the_name_of_a_label() -> None:
    with pytest.raises(QueryError, match='invalid label name "a-b"'):
        aggregate("count_values", {"a=1": "1"}, parameter="a-b")


def test_count_values_makes_no_more_series_than_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_CELLS", 5)

    with pytest.raises(QueryError, match="too many samples"):
        aggregate("count_values", {"a=1": "1 2 3"}, parameter="n")


def test_many_cells_are_worked_on_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [aggregate("sum", APPS, by=["app"]), aggregate("topk", APPS, by=["app"], parameter=[1, 0, 1])]
    monkeypatch.setattr(rows, "WINDOW_CELLS", 4)
    assert len(list(windows(4, 3))) == 3

    assert [aggregate("sum", APPS, by=["app"]), aggregate("topk", APPS, by=["app"], parameter=[1, 0, 1])] == expected


PLAIN = {
    "sum": math.fsum,
    "avg": statistics.fmean,
    "stdvar": statistics.pvariance,
    "stddev": statistics.pstdev,
    "count": len,
    "max": max,
    "min": min,
}

cells = st.none() | st.floats(-1e6, 1e6)
grids = st.integers(1, 4).flatmap(
    lambda steps: st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(cells, min_size=steps, max_size=steps)), min_size=1, max_size=9
    )
)


@given(grids)
def test_reductions_agree_with_plain_statistics(grid: list[tuple[str, list[float | None]]]) -> None:
    columns = Columns(
        [labels(f"g={group} n={n}") for n, (group, _) in enumerate(grid)],
        np.array([[math.nan if cell is None else cell for cell in row] for _, row in grid]),
        np.array([[cell is not None for cell in row] for _, row in grid]),
    )
    plain = {
        "sum": math.fsum,
        "avg": statistics.fmean,
        "stdvar": statistics.pvariance,
        "count": len,
        "max": max,
        "min": min,
    }
    for op, formula in plain.items():
        result = aggregations.aggregate(op, columns, by=["g"], without=None, parameter=None)
        for each, values, present in zip(result.labels, result.values, result.present, strict=True):
            for step, (value, there) in enumerate(zip(values, present, strict=True)):
                members = [row[step] for group, row in grid if (("g", group),) == each]
                found = [cell for cell in members if cell is not None]
                assert there == bool(found)
                assert not found or value == pytest.approx(formula(found), rel=1e-9, abs=1e-4)
