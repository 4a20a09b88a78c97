"""The values that tokens write."""

import pytest
from lark import Token

from event_store.query import tokens
from event_store.query.syntax import QuerySyntaxError


def token(kind: str, text: str, at: int = 9) -> Token:
    return Token(kind, text, start_pos=at)


@pytest.mark.parametrize(
    ("kind", "written", "text"),
    [
        ("WORD", r"a\b", r"a\b"),
        ("QUOTED", '"a b"', "a b"),
        ("QUOTED", r'"say \"hi\" \\ \d"', r'say "hi" \ \d'),
        ("QUOTED", r"'it\'s'", "it's"),
    ],
)
def test_text_stands_bare_or_in_quotes(kind: str, written: str, text: str) -> None:
    assert tokens.text(token(kind, written)) == text


@pytest.mark.parametrize(
    ("kind", "written", "pattern"),
    [
        ("REGEX", r"/a\/b\d/", r"a/b\d"),
        ("REGEX", "/a/i", "(?i)a"),
        ("QUOTED", r'"a\d"', r"a\d"),
        ("VALUE", "a+", "a+"),
    ],
)
def test_a_pattern_is_one_for_re2(kind: str, written: str, pattern: str) -> None:
    assert tokens.pattern(token(kind, written)) == pattern


@pytest.mark.parametrize(
    ("kind", "written", "column"),
    [("REGEX", "/ab(c/", 11), ("QUOTED", '"(?<=x)"', 11), ("REGEX", "/a**/", 12), ("VALUE", "a{2000}", 11)],
)
def test_a_bad_pattern_is_pointed_at(kind: str, written: str, column: int) -> None:
    with pytest.raises(QuerySyntaxError, match="bad regular expression") as caught:
        tokens.pattern(token(kind, written))

    assert caught.value.column == column


def test_a_pattern_that_grows_too_big_is_refused() -> None:
    with pytest.raises(QuerySyntaxError, match="too large"):
        tokens.pattern(token("REGEX", "/" + "a{1000}" * 500 + "/"))


@pytest.mark.parametrize("written", ["0", "1000001", "9" * 30])
def test_a_number_of_rows_has_bounds(written: str) -> None:
    with pytest.raises(QuerySyntaxError, match="1 to 1000000"):
        tokens.count(token("NUMBER", written))


def test_names_and_figures_are_written_in_one_way() -> None:
    assert tokens.name(token("NAME", "source")) == tokens.name(token("BACKTICKED", "`source_id`")) == "source_id"
    assert [tokens.measure(token("MEASURE", text)) for text in ("P50", "p99.90", "SUM")] == ["p50", "p99.9", "sum"]
    assert tokens.column(token("NAME", "x", 0)) == 1
    assert tokens.count(token("NUMBER", "20")) == 20


def test_time_is_not_searched_as_text() -> None:
    with pytest.raises(QuerySyntaxError, match="column 10: time cannot be searched"):
        tokens.searched(token("FIELD", "ts"))
    assert tokens.searched(token("FIELD", "msg")) == "message"


def test_what_cannot_be_parsed_is_said_with_the_forms_that_can() -> None:
    with pytest.raises(QuerySyntaxError, match=r"column 10: invalid literal .* \(write digits\)"):
        tokens.parsed(int, "x", token("VALUE", "x"), "write digits")
    assert tokens.parsed(int, "7", token("VALUE", "7"), "") == 7
