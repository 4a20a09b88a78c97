"""Events as an answer shows them."""

from typing import Any

import pyarrow as pa
import pytest

from event_store.http.events import COLUMNS, columns, is_taken, objects, rows, shown_name, spread
from event_store.storage.schema import arrow_type


def table(**found: Any) -> pa.Table:
    count = len(next(iter(found.values())))
    found = {"time": [1] * count, "seq": list(range(count)), **found}
    return pa.table({name: pa.array(held, arrow_type(name)) for name, held in found.items()})


def test_columns_are_those_of_every_event_and_then_its_fields() -> None:
    assert [each["name"] for each in columns()] == list(COLUMNS)
    assert COLUMNS[:3] == ("time", "source_id", "instance_id")
    assert (columns()[-1], columns()[0]["type"]) == ({"name": "fields", "type": "object"}, "time")


def test_an_event_shows_what_it_has() -> None:
    found = table(message=["a", None], t_app=["web", None], f_path=["/", "/x"], **{"f_status$num": [200.0, None]})
    first, second = objects(found)
    assert (first["message"], first["fields"]) == ("a", {"app": "web", "path": "/", "status": 200})
    assert (second["message"], second["fields"], second["severity"]) == (None, {"path": "/x"}, None)
    assert [row[0] for row in rows(found)] == ["1970-01-01T00:00:00.000000001Z"] * 2


def test_what_counters_add_stands_among_the_fields() -> None:
    assert objects(table(delta=[5]))[0]["fields"] == {"delta": 5}


def test_a_tag_and_a_field_of_one_name_are_both_shown() -> None:
    [event] = objects(table(t_app=["web"], f_app=["shop"]))
    assert event["fields"] == {"app": "web", "f_app": "shop"}
    [event] = objects(table(t_app=["web"], f_app=["web"]))
    assert event["fields"] == {"app": "web"}


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("t_app", "app"),
        ("f_a.b$num", "a.b"),
        ("f_msg", "f_msg"),
        ("t_message", "t_message"),
        ("seq", "seq"),
        ("f_", "f_"),
    ],
)
def test_names_are_those_of_queries(column: str, name: str) -> None:
    assert shown_name(column) == name


def test_a_name_that_means_something_else_is_taken() -> None:
    assert is_taken("source")
    assert not is_taken("app")


def test_what_found_no_column_is_shown_as_the_others_are() -> None:
    found = table(attrs=[[("t_rare", "x"), ("f_odd", "y")], None])
    assert [event["fields"] for event in objects(found)] == [{"rare": "x", "odd": "y"}, {}]
    assert spread(found).column("attrs").to_pylist() == ['{"t_rare":"x","f_odd":"y"}', None]


def test_for_csv_each_field_that_has_a_value_is_a_column() -> None:
    found = table(t_app=["web", None], f_a=["x", None], t_none=[None, None], **{"f_a$num": [None, 2.0]})
    written = spread(found)
    assert written.column_names == ["time", "seq", "a", "app"]
    assert written.column("a").to_pylist() == ["x", "2"]
