"""A written query reads as the same query."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from event_store.query.parse import parse
from event_store.query.syntax import (
    EVERYTHING,
    And,
    Compare,
    Contains,
    Exists,
    Expr,
    Has,
    In,
    Not,
    Or,
    Query,
    Regex,
    Span,
    Word,
)
from event_store.query.writing import format_filter, format_query, format_span, format_stage
from tests.event_store_queries import NOW_NS, Maker, makers

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(makers())
def test_a_written_query_reads_as_the_same(maker: Maker) -> None:
    query = maker.query()

    assert parse(format_query(query), NOW_NS) == query


@given(text=TEXTS, field=TEXTS)
@example(text='\\"', field="or")
@example(text="*", field="p50")
@example(text="/a/", field="a contains")
@example(text="last 5m", field="t_x$num")
def test_any_text_and_name_is_written_so_that_it_reads_as_the_same(text: str, field: str) -> None:
    name = field.replace("`", "") or "x"
    known = name in {"time", "ts", "duration", "severity", "message", "msg", "source", "app_id", "instance"}
    field = "x" if known else name
    terms = [
        Word(text),
        Contains(field, text),
        In(field, (text, "b")),
        Has(field, text),
        Exists(field),
        Not(Word(text)),
    ]
    terms += [Compare(field, operator, text) for operator in (":", "==", "!=", "<", ">=")]
    span = Span(NOW_NS - 1, NOW_NS)

    query = Query(And((*terms, Or((Word(text), Word("contains"), Word("and"))))), span)

    assert parse(format_query(query), NOW_NS) == query


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (EVERYTHING, ""),
        (And((Word("a"), Or((Word("b"), Word("c d"))))), 'a (b or "c d")'),
        (Or((And((Word("a"), Word("b"))), Not(Exists("x")))), "a b or not x:*"),
        (And((Word("a"), Has("message", "b c"), Word("has"), Has("x", "d"))), 'a message has "b c" "has" x has d'),
        (Not(Or((Word("a"), Word("or")))), 'not (a or "or")'),
        (Regex("message", r"\d/"), r'message matches "\\d/"'),
        (Compare("time", ">=", str(NOW_NS)), 'time>="2027-01-15T08:00:00Z"'),
        (Compare("odd name", ":", "*"), '`odd name`:"*"'),
    ],
)
def test_a_filter_is_written_as_people_would(expr: Expr, text: str) -> None:
    assert format_filter(expr) == text


@pytest.mark.parametrize(
    "text",
    [
        "tail 5",
        "sort -a, `p50`",
        "fields a, `by`",
        "count by a, b per 1m",
        "p50 p99.9 max x per 90s",
        "rate",
        "top 10 path where status>=500",
        "histogram x",
    ],
)
def test_a_stage_is_written_as_it_was(text: str) -> None:
    (stage,) = parse(f"| {text}", NOW_NS).pipeline

    assert format_stage(stage) == text


def test_a_span_is_two_times() -> None:
    assert format_span(Span(0, 1)) == "from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00.000000001Z"
