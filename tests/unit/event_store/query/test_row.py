"""What a field is as text, as a number and as a value, from the columns that may hold it."""

import pyarrow as pa
import pytest
from sqlglot import exp

from event_store.model import ColumnType
from event_store.query.dialects import DUCKDB
from event_store.query.names import resolve
from event_store.query.row import Row, column, named, present
from tests.event_store_engine import Engine

COLUMNS = ("t_a", "f_a", "f_a$num", "f_n$num", "t_only", "attrs")
ROW = {
    "time": 5,
    "duration": 7,
    "t_a": None,
    "f_a": None,
    "f_a$num": 2.0,
    "f_n$num": float("inf"),
    "t_only": "12",
    "attrs": [("f_far$num", "3.5"), ("t_near", "x")],
}


@pytest.fixture(scope="module", autouse=True)
def _events(engine: Engine) -> None:
    types = {"attrs": pa.map_(pa.string(), pa.string()), "time": pa.timestamp("ns")}
    engine.show(pa.table({name: pa.array([held], types.get(name)) for name, held in ROW.items()}))


def ask(engine: Engine, value: exp.Expr) -> object:
    ((held,),) = engine.rows(f"SELECT {value.sql(dialect='duckdb')} FROM events AS e")
    return held


@pytest.mark.parametrize(
    ("field", "number", "value"),
    [
        ("a", 2.0, "2"),
        ("duration", 7.0, 7),
        ("n", None, None),
        ("only", 12.0, "12"),
        ("far", 3.5, "3.5"),
        ("near", None, "x"),
        ("nowhere", None, None),
    ],
)
def test_a_field_has_a_number_and_a_value(engine: Engine, field: str, number: float | None, value: object) -> None:
    row = Row(lambda name: resolve(name, COLUMNS), DUCKDB)

    assert (ask(engine, row.number(field)), ask(engine, row.value(field))) == (number, value)


def test_without_an_overflow_a_field_of_one_column_is_what_the_column_is(engine: Engine) -> None:
    row = Row(lambda name: resolve(name, COLUMNS[:-1]), DUCKDB)

    assert ask(engine, row.value("only")) == "12"
    assert ask(engine, row.value("n")) is None
    assert [len(row.sort_keys(field)) for field in ("only", "n", "a", "nowhere")] == [1, 1, 2, 0]


def test_a_time_is_neither_text_nor_number(engine: Engine) -> None:
    row = Row(lambda name: resolve(name, COLUMNS), DUCKDB)
    (time,) = resolve("time", COLUMNS)

    assert time.type is ColumnType.TIME
    assert ask(engine, row.column_text(time)) is None
    assert ask(engine, row.column_number(time)) is None


def test_columns_are_quoted_and_named() -> None:
    assert named(column('a"b'), "c").sql(dialect="duckdb") == '"e"."a""b" AS "c"'
    assert present(column("a", "w")).sql(dialect="duckdb") == 'NOT "w"."a" IS NULL'
