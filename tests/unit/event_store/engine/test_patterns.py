"""What a message must look like for a filter to let it through."""

from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from event_store.engine.patterns import necessary
from event_store.query.syntax import Has, Word
from tests.event_store_oracle import _Table, fold, has
from tests.event_store_queries import Maker, makers
from tests.unit.event_store.engine.stores import asked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error", {"(?i)error"}),
        ("Timeout", {"(?i)Timeout|\u0130"}),
        ('"a.b" and /c+/', {r"(?i)a\.b", "c+"}),
        ("error or /c+/", {"(?:(?i)error)|(?:c+)"}),
        ("(error and longer) or x", {"(?:(?i)longer)|(?:(?i)x)"}),
        ("error or app:web", set()),
        ("not error", set()),
        ("error app:web", {"(?i)error"}),
        ("has K-1 and has '.é'", {r"(?-u:\b)[Kk]\-1(?-u:\b)", r"\.é"}),
        ("path has c", set()),
        ('has ""', set()),
        ("groß", {"(?i)gro(?s:.)"}),
        ("path matches /c+/", set()),
        (r"/\pL/", set()),
        ("", set()),
    ],
)
def test_patterns(text: str, expected: set[str]) -> None:
    assert necessary(asked(text).filter) == expected


def matches(pattern: str, message: str) -> bool:
    return bool(pl.select(pl.lit(message).str.contains(pattern)).item())


@given(text=st.text(st.sampled_from("aiIİkKKsſß\n .*é"), min_size=1, max_size=4), before=st.text(max_size=2))
def test_a_word_is_found_whatever_its_case(text: str, before: str) -> None:
    for message in (before + text, before + text.upper(), before + text.lower()):
        if fold(text) in fold(message):
            assert all(matches(pattern, message) for pattern in necessary(Word(text)))


@given(text=st.text(max_size=6), before=st.text(max_size=2))
@example(text="\\b", before="")
@example(text="a<b>#~&\n\t \x00\x7f", before="\u017f")
def test_whole_words_are_found_as_sql_finds_them(text: str, before: str) -> None:
    for message in (before + text, text + before, text.swapcase()):
        if has(message, text):
            assert all(matches(pattern, message) for pattern in necessary(Has("message", text)))


@given(maker=makers())
def test_whatever_meets_a_filter_matches_its_patterns(maker: Maker) -> None:
    expr = maker.filter()
    patterns = necessary(expr)

    def holds(event: dict[str, Any]) -> bool:
        return _Table(("t_app", "t_status", "t_zone", "f_status", "f_status$num", "f_lat$num", "f_user")).holds(
            expr, event
        )

    for event in maker.events(overflow=False):
        if holds(event):
            assert event["message"] is not None or not patterns
            assert all(matches(pattern, event["message"]) for pattern in patterns)
