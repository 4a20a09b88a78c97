import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_cache.promql.rows import (
    MAX_CELLS,
    WINDOW_CELLS,
    blocks,
    bounded,
    grouped,
    joined,
    nameless,
    only,
    quoted,
    windows,
    without,
    written,
)
from log_cache.promql.values import QueryError
from tests.unit.log_cache.promql.tables import labels, shown, table


def test_labels_are_kept_or_left_out_by_name() -> None:
    metric = labels("up app=a zone=z")

    assert only(metric, ["zone", "other"]) == labels("zone=z")
    assert without(metric, ["zone", "other"]) == labels("up app=a")
    assert nameless(metric) == labels("app=a zone=z")


def test_labels_are_written_as_a_selector_of_them() -> None:
    assert written((("a", 'x"y'), ("b", "z"))) == '{a="x\\"y", b="z"}'
    assert written(()) == "{}"
    assert quoted("a\nb") == '"a\\nb"'


def test_rows_are_grouped_in_order_of_appearance() -> None:
    assert list(grouped("abcab").items()) == [("a", [0, 3]), ("b", [1, 4]), ("c", [2])]


@given(st.lists(st.integers(0, 5), max_size=40))
def test_blocks_hold_every_row_with_its_group(keys: list[int]) -> None:
    groups = list(grouped(keys).values())

    found = {
        int(member): line
        for members, rows in blocks(groups)
        for member, line in zip(members, rows.tolist(), strict=True)
    }

    assert [found[group] for group in range(len(groups))] == groups


@given(rows=st.integers(0, 3 * WINDOW_CELLS), steps=st.integers(0, 12))
def test_windows_cover_the_steps_in_bounded_pieces(rows: int, steps: int) -> None:
    pieces = list(windows(rows, steps))

    assert [step for piece in pieces for step in range(steps)[piece]] == list(range(steps))
    assert all((piece.stop - piece.start) * rows <= max(rows, WINDOW_CELLS) for piece in pieces)


def test_rows_that_never_meet_are_joined() -> None:
    rows = table({"a x=1": "1 _ _ _", "b x=1": "_ 2 _ 4", "c x=2": "9 9 9 _"})

    assert shown(joined([nameless(each) for each in rows.labels], rows.values, rows.present)) == {
        "x=1": "1 2 _ 4",
        "x=2": "9 9 9 _",
    }


def test_rows_that_meet_are_an_error() -> None:
    rows = table({"a x=1": "1 1 _", "b x=1": "_ 2 2"})

    with pytest.raises(QueryError, match="vector cannot contain metrics with the same labelset") as caught:
        joined([nameless(each) for each in rows.labels], rows.values, rows.present)
    assert caught.value.kind == "execution"


def test_what_went_in_is_not_written_to() -> None:
    rows = table({"a x=1": "1 _", "b x=1": "_ 2"})
    before = rows.present.copy()

    joined([nameless(each) for each in rows.labels], rows.values, rows.present)

    assert np.array_equal(rows.present, before)


def test_empty_rows_are_left_out() -> None:
    rows = table({"x=1": "_ _", "x=2": "_ 1", "x=3": "_ _"})

    assert shown(joined(rows.labels, rows.values, rows.present)) == {"x=2": "_ 1"}


def test_a_result_has_a_bound() -> None:
    bounded(MAX_CELLS)

    with pytest.raises(QueryError, match="too many samples"):
        bounded(MAX_CELLS + 1)
