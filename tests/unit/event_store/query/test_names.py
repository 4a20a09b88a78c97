"""A field's name leads to the columns it may be in."""

import pytest

from event_store.query.names import canonical, columns_of, fields_known, hint, resolve

CATALOG = {"t_app", "t_status", "f_status", "f_status$num", "f_message", "f_a.b$num", "message_raw"}


def found(field: str, *more: str) -> list[str]:
    return [("attrs/" if column.in_overflow else "") + column.name for column in resolve(field, CATALOG | set(more))]


@pytest.mark.parametrize(
    ("field", "columns"),
    [
        ("message", ["message"]),
        ("msg", ["message"]),
        ("source", ["source_id"]),
        ("app_id", ["source_id"]),
        ("instance", ["instance_id"]),
        ("ts", ["time"]),
        ("app", ["t_app"]),
        ("status", ["t_status", "f_status", "f_status$num"]),
        ("t_status", ["t_status"]),
        ("f_status", ["f_status", "f_status$num"]),
        ("f_message", ["f_message"]),
        ("a.b", ["f_a.b$num"]),
        ("nowhere", []),
        ("message_raw", []),
        ("attrs", []),
    ],
)
def test_a_field_is_in_every_column_that_may_hold_it(field: str, columns: list[str]) -> None:
    assert found(field) == columns


def test_a_field_may_be_in_the_overflow_too() -> None:
    assert found("nowhere", "attrs") == ["attrs/t_nowhere", "attrs/f_nowhere", "attrs/f_nowhere$num"]
    assert found("app", "attrs") == ["t_app", "attrs/t_app", "attrs/f_app", "attrs/f_app$num"]
    assert found("t_x", "attrs") == ["attrs/t_x"]
    assert found("message", "attrs") == ["message"]


@pytest.mark.parametrize("field", ["app", "status", "t_x", "f_x", "msg", "time"])
def test_all_columns_that_a_field_may_be_in(field: str) -> None:
    everything = {"t_app", "f_app", "f_app$num", "t_status", "f_status", "f_status$num", "t_x", "f_x", "f_x$num"}
    resolved = {"attrs" if column.in_overflow else column.name for column in resolve(field, everything | {"attrs"})}

    assert set(columns_of(field)) == resolved


def test_known_fields_are_called_as_people_call_them() -> None:
    assert fields_known(CATALOG)[:2] == ("time", "source_id")
    assert fields_known(CATALOG)[-3:] == ("a.b", "app", "status")  # "message" is the column


@pytest.mark.parametrize(
    ("field", "said"), [("staus", "did you mean status?"), ("sevrity", "did you mean severity?"), ("qqq", ""), ("", "")]
)
def test_a_misspelt_field_gets_a_hint(field: str, said: str) -> None:
    assert hint(field, fields_known(CATALOG)) == said


def test_an_alias_is_another_name() -> None:
    assert [canonical(name) for name in ("ts", "time", "other")] == ["time", "time", "other"]
