import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_cache.promql import rows
from log_cache.promql.matching import Cardinality
from log_cache.promql.operators import binary
from log_cache.promql.values import Columns, Labels, QueryError
from tests.unit.log_cache.promql.tables import Table, labels, shown, table

USED = {"used app=a inst=0": "1 2", "used app=a inst=1": "3 4", "used app=b inst=0": "5 6"}
QUOTA = {"quota app=a zone=z": "10 100", "quota app=b": "20 _"}


def match(
    op: str,
    lhs: Table | Columns,
    rhs: Table | Columns,
    *,
    card: Cardinality = "one-to-one",
    on: Sequence[str] | None = None,
    ignoring: Sequence[str] | None = None,
    group: Sequence[str] = (),
    return_bool: bool = False,
) -> Table:
    left, right = (table(side) if isinstance(side, dict) else side for side in (lhs, rhs))
    return shown(binary(op, left, right, card=card, on=on, ignoring=ignoring, group=group, return_bool=return_bool))


def test_on_keeps_the_labels_it_names() -> None:
    lhs, rhs = {"used app=a inst=0": "6"}, {"quota app=a zone=z": "2"}

    assert match("/", lhs, rhs, on=["app"]) == {"app=a": "3"}
    assert match(">", lhs, rhs, on=["app"]) == {"app=a": "6"}
    assert match("/", lhs, rhs, on=[]) == {"": "3"}


def test_ignoring_takes_away_the_labels_it_names() -> None:
    lhs, rhs = {"used app=a inst=0": "6"}, {"quota app=a zone=z": "2"}

    assert match("/", lhs, rhs, ignoring=["inst", "zone"]) == {"app=a": "3"}
    assert match(">", lhs, rhs, ignoring=["inst", "zone"]) == {"used app=a": "6"}
    assert match("/", lhs, rhs, ignoring=["inst"]) == {}


def test_a_label_that_is_missing_is_like_one_that_is_empty() -> None:
    assert match("+", {"up app=a": "1"}, {"up app=a zone=z": "1"}, on=["app", "zone"]) == {}
    assert match("+", {"up app=a": "1"}, {"up app=a": "1"}, on=["app", "zone"]) == {"app=a": "2"}


def test_on_the_name() -> None:
    assert match("==", {"up app=a": "1"}, {"up app=b": "1"}, on=["__name__"]) == {"up": "1"}
    assert match("+", {"up app=a": "1"}, {"down app=a": "1"}, on=["__name__"]) == {}


def test_many_to_one_keeps_the_labels_of_the_many() -> None:
    assert match("/", USED, QUOTA, card="many-to-one", on=["app"]) == {
        "app=a inst=0": "0.1 0.02",
        "app=a inst=1": "0.3 0.04",
        "app=b inst=0": "0.25 _",
    }


def test_one_to_many_is_the_same_the_other_way_round() -> None:
    assert match("/", QUOTA, USED, card="one-to-many", on=["app"]) == {
        "app=a inst=0": "10 50",
        "app=a inst=1": f"{10 / 3} 25",
        "app=b inst=0": "4 _",
    }
    assert match(">", QUOTA, USED, card="one-to-many", on=["app"])["used app=a inst=0"] == "10 100"


def test_group_takes_labels_of_the_one_side() -> None:
    many = {"used app=a zone=old": "1", "used app=b zone=old": "2"}
    one = {"quota app=a zone=z": "10", "quota app=b": "20"}

    assert match("*", many, one, card="many-to-one", on=["app"], group=["zone"]) == {
        "app=a zone=z": "10",
        "app=b": "40",
    }


def test_group_may_take_the_name() -> None:
    one = {"quota app=a": "10"}

    assert match("*", {"used app=a inst=0": "1"}, one, card="many-to-one", on=["app"], group=["__name__"]) == {
        "quota app=a inst=0": "10"
    }


def test_two_on_the_one_side_are_an_error() -> None:
    message = (
        'found duplicate series for the match group {app="a"} on the right hand-side of the operation: '
        '[{__name__="used", app="a", inst="1"}, {__name__="used", app="a", inst="0"}];'
        "many-to-many matching not allowed: matching labels must be unique on one side"
    )

    with pytest.raises(QueryError, match=re.escape(message)) as caught:
        match("+", QUOTA, USED, on=["app"])
    assert caught.value.kind == "execution"


def test_the_one_side_of_one_to_many_is_the_left() -> None:
    with pytest.raises(QueryError, match="on the left hand-side"):
        match("+", USED, QUOTA, card="one-to-many", on=["app"])


def test_two_on_the_left_of_one_to_one_must_be_explicit() -> None:
    message = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"

    with pytest.raises(QueryError, match=re.escape(message)):
        match("+", USED, QUOTA, on=["app"])


def test_two_results_with_the_same_labels_are_an_error() -> None:
    many = {"used app=a zone=x": "1", "used app=a zone=y": "2"}

    with pytest.raises(QueryError, match="grouping labels must ensure unique matches"):
        match("*", many, {"quota app=a zone=z": "10"}, card="many-to-one", on=["app"], group=["zone"])


def test_what_a_comparison_leaves_out_is_no_match() -> None:
    assert match("<", USED, {"quota app=a": "2 3"}, on=["app"]) == {"app=a": "1 2"}

    with pytest.raises(QueryError, match="must be explicit"):
        match("<", USED, {"quota app=a": "2 3"}, on=["app"], return_bool=True)


def test_series_that_follow_one_another_are_no_duplicates() -> None:
    lhs = {"used app=a inst=0": "1 2 _ _", "used app=a inst=1": "_ _ 3 4"}
    rhs = {"quota app=a zone=x": "10 _ _ 20", "quota app=a zone=y": "_ 30 40 _"}

    assert match("+", lhs, rhs, on=["app"]) == {"app=a": "11 32 43 24"}
    assert match("+", lhs, rhs, card="many-to-one", on=["app"], group=["zone"]) == {
        "app=a inst=0 zone=x": "11 _ _ _",
        "app=a inst=0 zone=y": "_ 32 _ _",
        "app=a inst=1 zone=x": "_ _ _ 24",
        "app=a inst=1 zone=y": "_ _ 43 _",
    }


def test_duplicates_do_no_harm_where_the_other_side_is_empty() -> None:
    assert match("+", {"quota app=a": "_ 1"}, {"used app=a i=0": "1 _", "used app=a i=1": "1 1"}, on=["app"]) == {
        "app=a": "_ 2"
    }


def test_pairs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_CELLS", 10)
    several = {f"used app=a inst={n}": "_ 1 _ 1 _ _" if n else "1 _ _ _ _ 1" for n in range(3)}

    with pytest.raises(QueryError, match="too many samples"):
        match("+", several, {"quota x=1": "1 _ _ 1 _ 1", "quota x=2": "_ 1 _ _ _ _"}, on=[])


def test_sets_match_on_labels() -> None:
    assert match("and", USED, QUOTA, card="many-to-many", on=["app"]) == {**USED, "used app=b inst=0": "5 _"}
    assert match("unless", USED, QUOTA, card="many-to-many", on=["app"]) == {"used app=b inst=0": "_ 6"}
    assert match("or", QUOTA, USED, card="many-to-many", on=["app"]) == {**QUOTA, "used app=b inst=0": "_ 6"}
    assert match("or", USED, QUOTA, card="many-to-many", ignoring=["app", "inst"]) == {
        **USED,
        "quota app=a zone=z": "10 100",
    }


def test_or_joins_a_series_of_both_sides() -> None:
    assert match("or", {"up a=1": "1 _ 3"}, {"up a=1": "7 8 _"}, card="many-to-many") == {"up a=1": "1 8 3"}


NAMES = st.lists(st.sampled_from(["__name__", "a", "b"]), max_size=2, unique=True)
SERIES = st.dictionaries(
    st.tuples(st.sampled_from("mn"), st.sampled_from("xyz"), st.sampled_from("xy")).map(
        lambda each: labels(f"{each[0]} a={each[1]} b={each[2]}")
    ),
    st.lists(st.none() | st.integers(-2, 2), min_size=3, max_size=3),
    max_size=6,
)


def columns(series: dict[Labels, list[int | None]]) -> Columns:
    return Columns(
        list(series),
        np.array([[cell or 0 for cell in row] for row in series.values()], np.float64).reshape(-1, 3),
        np.array([[cell is not None for cell in row] for row in series.values()], np.bool_).reshape(-1, 3),
    )


@given(op=st.sampled_from(["and", "or", "unless"]), lhs=SERIES, rhs=SERIES, names=NAMES, include=st.booleans())
def test_sets_agree_with_sets_of_each_step(
    op: str, lhs: dict[Labels, list[int | None]], rhs: dict[Labels, list[int | None]], names: list[str], include: bool
) -> None:
    def key(each: Labels) -> Labels:
        return tuple(p for p in each if (p[0] in names if include else p[0] not in [*names, "__name__"]))

    result = binary(
        op,
        columns(lhs),
        columns(rhs),
        card="many-to-many",
        on=names if include else None,
        ignoring=None if include else names,
        group=(),
        return_bool=False,
    )

    assert isinstance(result, Columns)
    for step in range(3):
        left, right = ({each: row[step] for each, row in side.items() if row[step] is not None} for side in (lhs, rhs))
        lefts, rights = ({key(each) for each in side} for side in (left, right))
        expected = {
            "and": {each: value for each, value in left.items() if key(each) in rights},
            "unless": {each: value for each, value in left.items() if key(each) not in rights},
            "or": left | {each: value for each, value in right.items() if key(each) not in lefts},
        }[op]
        assert {
            each: values[step]
            for each, values, present in zip(result.labels, result.values, result.present, strict=True)
            if present[step]
        } == expected
