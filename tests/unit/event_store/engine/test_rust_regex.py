"""A pattern for Rust finds at least what RE2's finds."""

import polars as pl
import pytest
import re2
from hypothesis import assume, given
from hypothesis import strategies as st

from event_store.engine.rust_regex import superset

_PIECES = [
    *"abkKsS019_ -.^$|\n",
    *(r"\d", r"\D", r"\s", r"\S", r"\w", r"\W", r"\b", r"\B", r"\A", r"\z", r"\.", r"\_", r"\<", r"\n", r"\t", r"\/"),
    *(r"\x41", r"\x{4b}", r"\x{e9}", r"\Qa.b\E", r"\pL", r"\C", "é", "ſ", "K", "{", "}", "]", "&&", "~"),
    *(
        "[a-c]",
        "[^a-c]",
        "[^k]",
        "[^ſ]",
        "[k]",
        "[]a]",
        "[^]a]",
        "[[:alpha:]]",
        "[^[:alpha:]]",
        r"[\d.]",
        r"[^\w]",
        r"[\W]",
    ),
    *("[a&&b]", "[a--z]", "[a-]", "[-a]", r"[\]\[]", "[[a]", r"[\pL]", "[é]", "[{]", "[a~~b]"),
    *(
        "a*",
        "b+",
        "c?",
        "a{2}",
        "b{1,2}",
        "a{2,}",
        "a{,2}",
        "s*?",
        "(?i)",
        "(?s)",
        "(?m)",
        "(?i:k)",
        "(?P<n>s)",
        "(?:a|b)",
        "(?U)",
        "(",
        ")",
    ),
]
_TEXT = st.text(st.sampled_from("abcCkKsSKſéÉİi019_ -.{}[]&~<\n\t\x00A"), max_size=12)


@given(pieces=st.lists(st.sampled_from(_PIECES), max_size=6), texts=st.lists(_TEXT, min_size=1, max_size=8))
def test_finds_at_least_what_re2_finds(pieces: list[str], texts: list[str]) -> None:
    pattern = "".join(pieces)
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        assume(False)
    made = superset(pattern)
    assume(made is not None)

    found = pl.select(pl.lit(pl.Series(texts, dtype=pl.String)).str.contains(made)).to_series().to_list()

    assert [text for text, is_found in zip(texts, found, strict=True) if compiled.search(text) and not is_found] == []


@given(st.text(max_size=30))
def test_any_text_gives_a_pattern_or_none(text: str) -> None:
    assert superset(text) != "" or text == ""


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("(timeout|refused).*backend [0-9]+", "(?:timeout|refused).*backend [0-9]+"),
        (r"status=5\d\d\b", "status=5[0-9][0-9](?:)"),
        (r"(?P<name>x)é", "(?:x)(?s:.)"),
        (r"(?i)[^a-z]", "(?i)(?s:.)"),
        (r"a{,3}", r"a\{,3}"),
        (r"\pL", None),
        (r"[\Qa]\E]", None),
        ("(?=a)", None),
    ],
)
def test_translates(pattern: str, expected: str | None) -> None:
    assert superset(pattern) == expected
