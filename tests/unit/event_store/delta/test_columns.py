"""What every engine can read: columns of plain types, with names that all of them take."""

from __future__ import annotations

import pyarrow as pa

from event_store.delta.columns import TIME_NS, to_delta
from event_store.model import FIXED
from event_store.storage.segments import table_of
from tests.unit.event_store.storage.events import START, events


def rows(table: pa.Table) -> list[dict[str, object]]:
    return [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]


def test_times_are_of_microseconds_and_exact_beside() -> None:
    made = to_delta(table_of([events([1, 1999])]), (), 10)

    assert made.schema.field("time").type == pa.timestamp("us", "UTC")
    assert made["time"].cast(pa.int64()).to_pylist() == [START // 1000, START // 1000 + 1]
    assert made[TIME_NS].to_pylist() == [START + 1, START + 1999]


def test_there_are_no_dictionaries_and_always_a_map() -> None:
    made = to_delta(table_of([events([1], t_app=["web"])]), (), 10)

    assert [kind for kind in made.schema.types if pa.types.is_dictionary(kind)] == []
    assert set(FIXED) | {"message_raw", "attrs", "t_app", TIME_NS} == set(made.column_names)
    assert made["attrs"].null_count == 1


def test_names_that_some_engine_does_not_take_go_into_the_map() -> None:
    odd = {"f_a b": ["1"], "f_c=d": ["2"], "f_e\n_num": [2.5], "t_fine.so$": ["3"]}
    (row,) = rows(to_delta(table_of([events([1], **odd)]), (), 10))

    assert row["t_fine.so$"] == "3"
    assert sorted(row["attrs"]) == [("f_a b", "1"), ("f_c=d", "2"), ("f_e\n", "2.5")]  # type: ignore[call-overload]


def test_of_names_that_differ_by_case_alone_the_first_has_the_column() -> None:
    events_ = table_of([events([1], t_App=["1"], t_app=["2"], t_ZONE=["3"])])
    (row,) = rows(to_delta(events_, {"t_zone"}, 10))

    assert (row["t_App"], sorted(row["attrs"])) == ("1", [("t_ZONE", "3"), ("t_app", "2")])  # type: ignore[call-overload]


def test_there_are_so_many_columns_at_most() -> None:
    (row,) = rows(to_delta(table_of([events([1], t_a=["1"], t_b=["2"], t_c=["3"])]), {"t_c"}, 2))

    assert (row["t_a"], row["t_c"], row["attrs"]) == ("1", "3", [("t_b", "2")])
