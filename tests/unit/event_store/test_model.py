"""Columns: their names say what they hold."""

import pytest

from event_store.model import FIXED, ColumnType, type_of


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("time", ColumnType.TIME),
        ("value", ColumnType.NUMBER),
        ("duration", ColumnType.INTEGER),
        ("t_app", ColumnType.TEXT),
        ("t_odd$num", ColumnType.TEXT),  # a tag is text whatever it is called
        ("f_status", ColumnType.TEXT),
        ("f_status$num", ColumnType.NUMBER),
    ],
)
def test_a_columns_name_says_what_it_holds(column: str, expected: ColumnType) -> None:
    assert type_of(column) is expected


def test_the_time_comes_first_and_the_place_in_the_store_last() -> None:
    assert (next(iter(FIXED)), next(reversed(FIXED))) == ("time", "seq")
