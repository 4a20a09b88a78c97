"""Both dialects say the same thing, and what people write goes in as literals only."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlglot import exp

from event_store.query.dialects import CLICKHOUSE, DIALECTS, DUCKDB, Dialect, double, literal
from tests.event_store_engine import Engine

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def ask(engine: Engine, value: exp.Expr) -> object:
    ((held,),) = engine.rows(f"SELECT {value.sql(dialect='duckdb')}")
    return held


@given(text=TEXTS)
@example(text="'; DROP TABLE events; --")
@example(text="\\' or 1=1 --")
@example(text="a\\")
def test_text_goes_in_and_comes_out(engine: Engine, text: str) -> None:
    assert ask(engine, literal(text)) == text
    assert ask(engine, DUCKDB.contains(literal(f"x{text}y"), text)) is True
    assert ask(engine, DUCKDB.alike(literal(f"x{text}y"), f"X{text.replace('*', '')}*")) in (True, "*" not in text)


@given(number=st.floats(allow_nan=False, allow_infinity=False))
@example(number=5e-324)
@example(number=-0.0)
def test_a_double_goes_in_exactly(engine: Engine, number: float) -> None:
    assert ask(engine, double(number)) == number


@given(number=st.floats())
@example(number=1e15)
@example(number=999_999_999_999_999.0)
@example(number=1e-5)
def test_a_number_is_written_as_people_would(engine: Engine, number: float) -> None:
    held = exp.cast(literal(repr(number)), "DOUBLE")
    whole = math.isfinite(number) and number == int(number) and abs(number) < 1e15
    expected = str(int(number)) if whole else repr(number) if math.isfinite(number) else None

    assert ask(engine, DUCKDB.number_text(held)) == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5.0), ("-0.5", -0.5), ("5e2", 500.0), ("", None), (" 5", None), ("nan", None), ("0x5", None), ("1_0", None)],
)
def test_text_may_be_a_number(engine: Engine, text: str, number: float | None) -> None:
    assert ask(engine, DUCKDB.number_in(literal(text))) == number


@pytest.mark.parametrize(("since_1970", "start"), [(0, 0), (59, 0), (60, 60), (119, 60), (-1, -60), (-60, -60)])
def test_buckets_are_counted_from_1970(engine: Engine, since_1970: int, start: int) -> None:
    bucket = DUCKDB.bucket(DUCKDB.moment(exp.Literal.number(since_1970)), 60)

    assert ask(engine, DUCKDB.nanoseconds(bucket)) == start


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (DUCKDB, "REGEXP_MATCHES(x, 'a\\d''')"),
        (CLICKHOUSE, "match(x, '(?-s)a\\\\d''')"),
    ],
)
def test_a_pattern_is_a_literal(dialect: Dialect, expected: str) -> None:
    assert dialect.matches(exp.column("x"), "a\\d'").sql(dialect=dialect.name) == expected


@given(text=TEXTS)
@example(text="a\nb\t\\ \u212a_[]^-")
@example(text="<\x01\x7f>")
def test_whole_words_are_looked_for_as_they_are(engine: Engine, text: str) -> None:
    assert ask(engine, DUCKDB.has(literal(f"é{text}-"), text)) is True
    assert ask(engine, DUCKDB.has(literal(text.swapcase() if text.isascii() else text), text)) is True


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("timeout", []),
        ("read timeout", []),
        ("/api/v1_Users/", ["api", "v1", "users"]),
        (" a\u00e9 b \u212ac d\u0130 c ", ["b", "c"]),
        ("a b b c", ["b"]),
    ],
)
def test_clickhouse_asks_its_index_for_what_is_surely_a_token(text: str, tokens: list[str]) -> None:
    message = exp.column("message")
    asked = [f"hasToken(lowerUTF8(ifNull(message, '')), '{token}')" for token in tokens]

    assert [each.sql(dialect="clickhouse") for each in CLICKHOUSE.indexed(message, text)] == asked
    assert DUCKDB.indexed(message, text) == []


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (DUCKDB, "QUANTILE_CONT(x, 5.00000000000000000e-01)"),
        (CLICKHOUSE, "quantileExactInclusive(5.00000000000000000e-01)(x)"),
    ],
)
def test_percentiles_are_exact(dialect: Dialect, expected: str) -> None:
    assert dialect.percentile(exp.column("x"), 0.5).sql(dialect=dialect.name) == expected


def test_dialects_are_found_by_name() -> None:
    assert DIALECTS == {"duckdb": DUCKDB, "clickhouse": CLICKHOUSE}
