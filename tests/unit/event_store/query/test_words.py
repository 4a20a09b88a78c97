"""What `has` finds, and which whole words are surely in a message that a filter lets through."""

from __future__ import annotations

import re
import sys

import pyarrow as pa
import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from event_store.query.parse import parse
from event_store.query.syntax import And, Has, Or, Word
from event_store.query.words import MOST_ALTERNATIVES, has, necessary_words, pattern_of, words_within
from tests import event_store_oracle
from tests.event_store_engine import Engine
from tests.event_store_queries import CATALOG, NOW_NS, Maker, makers

LETTERS = st.sampled_from("aAkKiIsS1_ -.\n\\\u212a\u0130\u0131\u017f\u00e9\u00df")
TEXTS = st.text(LETTERS, max_size=8)


def words_of(message: str) -> set[str]:
    """The words of a message, as they are defined."""
    runs = "".join(c if c == "_" or (c.isascii() and c.isalnum()) else " " for c in message)
    return {"".join(c.lower() for c in run) for run in runs.split(" ")} - {""}


@pytest.mark.parametrize(
    ("text", "pattern"),
    [("", ""), ("aB1", r"\b[Aa][Bb]1\b"), ("a b_", r"\b[Aa]\ [Bb]_\b"), ("/x", r"/[Xx]\b"), ("é.", r"é\.")],
)
def test_a_pattern_minds_the_edges_of_words(text: str, pattern: str) -> None:
    assert pattern_of(text) == pattern


@given(message=TEXTS, text=TEXTS, around=TEXTS)
@example(message="time_out", text="time", around="")
@example(message="\u212a", text="k", around="")
def test_has_finds_whole_words(message: str, text: str, around: str) -> None:
    for held in (message, around + text, text + around, around + text.upper() + message):
        expected = event_store_oracle.has(held, text)
        assert has(held, text) is expected
        assert (re2.search(pattern_of(text), held) is not None) is expected


@given(st.text(max_size=20))
def test_any_text_is_found_in_itself(text: str) -> None:
    assert has(text, text)
    assert re.search(pattern_of(text), f"\u00e9{text}\u00e9", re.ASCII)


def test_lower_makes_two_letters_ascii_that_are_not(engine: Engine) -> None:
    """So no others need care; and of ASCII it makes ASCII, letter for letter."""
    letters = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    engine.show(pa.table({"c": letters}))

    beyond = engine.rows(
        "SELECT c, lower(c) FROM events WHERE c > chr(127) AND regexp_matches(lower(c), '[\\x00-\\x7f]') ORDER BY c"
    )
    within = engine.rows("SELECT c, lower(c) FROM events WHERE c <= chr(127)")

    assert beyond == [("\u0130", "i"), ("\u212a", "k")]
    assert all(lower == letter.lower() for letter, lower in within)


@pytest.mark.parametrize(
    ("text", "whole", "words"),
    [
        ("Timeout", True, {"timeout"}),
        ("Timeout", False, set()),
        ("read timeout in db_1", True, {"read", "timeout", "in", "db_1"}),
        ("could not connect", False, {"not"}),
        ("/api/Users/", False, {"users"}),  # an i may be a dotted capital one
        ("/book/ a", False, set()),
        (" \u212aeg \u0130 a ", False, {"a"}),
        (" a\u0130b c ", False, {"c"}),  # a message with "aib" contains it
        ("-\u212aeg-", True, {"eg"}),
        ("\u00e9a\u00e9 ſo.", False, {"a", "o"}),
        ("", True, set()),
        ("...", False, set()),
    ],
)
def test_words_within_a_text(text: str, whole: bool, words: set[str]) -> None:
    assert words_within(text, whole=whole) == words


@given(before=TEXTS, text=TEXTS, after=TEXTS, upper=st.booleans())
def test_what_contains_a_text_has_its_words(engine: Engine, before: str, text: str, after: str, upper: bool) -> None:
    odd = text.replace("k", "\u212a").replace("i", "\u0130").replace("s", "\u017f")
    plain = text.replace("\u212a", "k").replace("\u0130", "i")
    messages = [before + form + after for form in (text, text.upper() if upper else text.lower(), odd, plain)]
    engine.show(pa.table({"m": messages, "t": [text] * len(messages)}))

    found = engine.rows("SELECT m FROM events WHERE contains(lower(m), lower(t))")

    assert all(words_of(message) >= words_within(text, whole=False) for (message,) in found)
    assert all(words_of(held) >= words_within(text, whole=True) for held in messages if has(held, text))
    if alternatives := necessary_words(Word(text)):
        assert all(any(words_of(message) >= words for words in alternatives) for (message,) in found)


@pytest.mark.parametrize(
    ("text", "alternatives"),
    [
        ("has Timeout", [{"timeout"}]),
        ("has 'read timeout' app:web", [{"read", "timeout"}]),
        ("has a has b", [{"a", "b"}]),
        ("has a or has b", [{"a"}, {"b"}]),
        ("(has a or has b) and (has c or has a)", [{"a", "c"}, {"a"}, {"b", "c"}, {"a", "b"}]),
        ("has a or word", []),
        ("has a or app:web", []),
        ("not has a", []),
        ("has ...", []),
        ("'x not y' or msg contains ' and '", [{"not"}, {"and"}]),
        ("'connection timed out'", [{"timed"}, {"t", "med"}]),
        ("' kilo a i '", [{"a", "kilo"}, {"a", "k", "lo"}, {"a", "ilo"}, {"a", "lo"}]),
        ("' aiiiii ai b'", [{"ai"}, {"a"}]),
        ("message == 'a b'", [{"a", "b"}]),
        ("message in (a, b) has c", [{"a", "c"}, {"b", "c"}]),
        ("message:a", []),
        ("path has a", []),
        ("", []),
    ],
)
def test_the_words_that_a_filter_needs(text: str, alternatives: list[set[str]]) -> None:
    assert necessary_words(parse(text, NOW_NS).filter) == tuple(map(frozenset, alternatives))


def test_alternatives_are_not_too_many() -> None:
    def any_of(prefix: str, count: int) -> Or:
        return Or(tuple(Has("message", f"{prefix}{number}") for number in range(count)))

    assert len(necessary_words(any_of("a", MOST_ALTERNATIVES))) == MOST_ALTERNATIVES
    assert necessary_words(any_of("a", MOST_ALTERNATIVES + 1)) == ()
    assert necessary_words(And((any_of("a", 5), any_of("b", 4)))) == necessary_words(any_of("b", 4))
    assert len(necessary_words(And((any_of("a", 4), any_of("b", 4), Word("c"))))) == MOST_ALTERNATIVES


@given(maker=makers())
def test_whatever_meets_a_filter_has_its_words(maker: Maker) -> None:
    expr, oracle = maker.filter(), event_store_oracle._Table(CATALOG)
    alternatives = necessary_words(expr)

    assert all(alternatives)
    for event in maker.events(overflow=False):
        if alternatives and oracle.holds(expr, event):
            assert any(words_of(event["message"]) >= words for words in alternatives)
