"""Any text is a query, or is answered with what is wrong, where, and what may have been meant."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from event_store.query.parse import DEFAULT_SPAN_NS, MAX_CHARACTERS, MAX_DEPTH, MAX_NAMES, MAX_STAGES, MAX_VALUES, parse
from event_store.query.syntax import Query, QuerySyntaxError, Span
from event_store.query.writing import format_query
from tests.event_store_queries import NOW_NS

PAGE = Path(__file__).parents[4] / "docs" / "query-language.md"
PIECES = (
    *("error", "and", "or", "not", "!", "(", ")", '"a b"', '"', "'", "`", "/re/", "/(/", "app", ":", "==", "=", "<"),
    *(
        "*",
        "web",
        "in (a, 'b')",
        "contains x",
        "has",
        "has x",
        "last",
        "15m",
        "last 15m",
        "from 14:00",
        "to now",
        "since",
        "|",
        "||",
    ),
    *("2026-01-31", "&&", "tail", "20", "count", "by", "per", "1m", "top", "where", "p99", "sum", "sort", "-", ","),
    *("fields", "limit", "histogram", "status>=500", "severity>warn", "\\", "\n", "time", "duration", "é"),
)
LONG = ("(", "a", " ", "/a ", '"', "\\", "not ", "a or ", "last 1", "1m", "from 1", "a.", "`", "a in (", "|", ".", "a=")
BEFORE = ("", "last ", "/", '"', "from ", "x matches /", "| count by ")


def mistake(text: str) -> QuerySyntaxError:
    with pytest.raises(QuerySyntaxError) as caught:
        parse(text, NOW_NS)
    return caught.value


def outcome(text: str) -> Query | QuerySyntaxError:
    try:
        return parse(text, NOW_NS)
    except QuerySyntaxError as error:
        return error


def check(text: str) -> None:
    """Parse, and look at what comes of it."""
    made = outcome(text)
    if isinstance(made, Query):
        assert parse(format_query(made), NOW_NS) == made
    else:
        assert made.message
        assert 1 <= made.column <= len(text) + 1


@given(st.text(max_size=200))
@example("a\0b")
@example("\ud800")
@example("( " * 100)
def test_any_text_gives_a_query_or_says_where_it_is_none(text: str) -> None:
    check(text)


@given(st.lists(st.sampled_from(PIECES), max_size=20), st.sampled_from((" ", "")))
def test_so_do_the_pieces_of_queries_in_any_order(pieces: list[str], between: str) -> None:
    check(between.join(pieces))


@pytest.mark.parametrize("piece", LONG)
def test_a_long_text_takes_no_longer_than_its_length(piece: str) -> None:
    """A parser that went back and forth in it would not come to an end before the time of a test is over."""
    for before in BEFORE:
        text = (before + piece * MAX_CHARACTERS)[:MAX_CHARACTERS]
        made = outcome(text)
        assert isinstance(made, Query) or 1 <= made.column <= MAX_CHARACTERS + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a" * (MAX_CHARACTERS + 1), "10000 characters"),
        ("(" * (MAX_DEPTH + 1), "parentheses"),
        ("a " * (MAX_VALUES + 1), "words and values"),
        ("| fields " + ", ".join(f"a{place}" for place in range(MAX_NAMES + 1)), "fields in stages"),
        ("| tail 5 " * (MAX_STAGES + 1), "stages"),
        ("a\0", "no text"),
    ],
)
def test_a_query_has_bounds(text: str, message: str) -> None:
    assert message in mistake(text).message


def test_a_query_may_reach_its_bounds() -> None:
    parse("a " * MAX_VALUES, NOW_NS)
    parse("| tail 5 " * MAX_STAGES, NOW_NS)
    parse("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH, NOW_NS)
    parse("not " * (MAX_CHARACTERS // 4 - 1) + "a", NOW_NS)


@pytest.mark.parametrize(
    ("text", "column", "message", "suggestion"),
    [
        ("a | cuont by app", 5, '"cuont" is no stage', "did you mean count?"),
        ("a | Heda 5", 5, '"Heda" is no stage', "did you mean head?"),
        ("a |", 4, "a stage is missing", "the stages are tail"),
        ("| where x", 3, '"where" is no stage', ""),
        ("a and", 6, "the query is not complete", "a condition"),
        ("(a", 3, "the query is not complete", ")"),
        ("a)", 2, '")" is not expected here', "|"),
        ('say "hi', 5, 'the quote " is not closed', ""),
        ("app:", 5, "the query is not complete", "a value"),
        ("a last 15x", 3, '"x" is no unit of time', "15m"),
        ("last 1h a last 2h", 11, "a time range stands once", ""),
        ("a last 1h b", 11, '"b" is not expected here', "|"),
        ("from 2026-02-30", 1, "day is out of range", "2026-01-31"),
        ("from now to 2h", 1, "ends before it begins", ""),
        ("| count foo", 9, '"foo" is not expected here', "by or per"),
        ("| count per x", 13, '"x" is no unit of time', "15m"),
        ("| top 0 x", 7, "1 to 1000000", ""),
        ("| limit", 8, "the query is not complete", "a number"),
        ("error has", 10, "has needs a text", "has timeout"),
        ("a (has )", 8, "has needs a text", '"has"'),
        ("has /tim.out/", 5, "has takes a text, and no pattern", "message matches /tim.out/"),
        ("path has /a/i", 10, "has takes a text, and no pattern", 'has "/a/i"'),
        ("time has 5", 1, "time cannot be searched", "time >= 14:00"),
        ("x in (a b)", 9, '"b" is not expected here', "a comma or )"),
        ("a or or b", 6, '"or" is not expected here', "a condition"),
        ("x matches /a(b/", 12, "bad regular expression: missing )", ""),
        ("severity > wran", 12, '"wran" is no severity', "did you mean warn?"),
        ("time > noon", 8, '"noon" is no time', "14:00"),
        ("duration > 5parsecs", 12, '"parsecs" is no unit of time', "1h30m"),
        ("| sum", 3, "sum needs a field", "sum FIELD"),
        ("| sum avg by app", 7, "avg needs a field", "avg FIELD"),
        ("| sum time", 7, "time is no number", ""),
        ("| histogram ts", 13, "time is no number", "count per 1m"),
        ("| count by app | sort -cuont", 24, 'no column "cuont" here', "did you mean count?"),
        ("| fields a, b | sum c", 21, 'no column "c" here', "there are: a, b"),
        ("| count by app | count per 1m", 28, 'no column "time" here', "there are: app, count"),
        ("| count by time per 1m", 12, 'two columns would be called "time"', ""),
        ("| count by a, b, a", 12, 'two columns would be called "a"', ""),
        ("| count by a, A", 12, 'two columns would be called "a"', ""),
        ("| count by Time per 1m", 12, 'two columns would be called "time"', ""),
        ("| top 5 Count", 9, 'two columns would be called "count"', ""),
        ("| top 5 count", 9, 'two columns would be called "count"', ""),
    ],
)
def test_a_mistake_is_pointed_at(text: str, column: int, message: str, suggestion: str) -> None:
    error = mistake(text)

    assert (error.column, message in error.message, suggestion in error.suggestion) == (column, True, True), str(error)


def test_without_a_range_a_query_looks_back_as_far_as_it_is_told() -> None:
    assert parse("a", NOW_NS).span == Span(NOW_NS - DEFAULT_SPAN_NS, NOW_NS)
    assert parse("a", NOW_NS, 5).span == Span(NOW_NS - 5, NOW_NS)
    assert parse("until 2h", NOW_NS, 5).span.start_ns == parse("until 2h", NOW_NS, 5).span.end_ns - 5


def test_the_examples_of_the_page_are_queries() -> None:
    fenced = re.findall(r"^```text\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    queries = [line for block in fenced for line in block.splitlines()]

    assert len(queries) > 5
    assert all(isinstance(parse(line, NOW_NS), Query) for line in queries)


def test_the_tables_of_the_page_show_queries() -> None:
    filters, stages = PAGE.read_text(encoding="utf-8").split("## Stages")
    shown = [line.split(" | ")[0].strip("| ") for line in filters.splitlines() if line.startswith("| `")]
    for cell in shown:
        for text in re.findall(r"`([^`]+)`", cell):
            parse(text.replace("\\|", "|"), NOW_NS)
    whole = re.findall(r"^\| `((?:tail|head|sort|limit|fields|count|top|histogram)[^`]*)`", stages, re.M)

    assert len(shown) > 8
    assert len([parse(f"| {text}", NOW_NS) for text in whole]) == 7
