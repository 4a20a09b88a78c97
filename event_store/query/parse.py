"""From text to a query. Any text gives a Query or a QuerySyntaxError, in time linear in its length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import ClassVar

from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from event_store.query.names import hint
from event_store.query.reading import Reader
from event_store.query.shapes import STAGES
from event_store.query.syntax import Query, QuerySyntaxError
from event_store.query.times import SECOND_NS

MAX_CHARACTERS = 10_000
MAX_DEPTH = 16
"""How deep parentheses may stand in one another."""
MAX_VALUES = 128
"""How many words, values and regular expressions a query may have."""
MAX_NAMES = 64
"""How many fields its stages may name."""
MAX_STAGES = 16
DEFAULT_SPAN_NS = 3600 * SECOND_NS
"""How far back a query looks that does not say."""

_VALUES = {"WORD", "QUOTED", "REGEX", "VALUE", "ITEM"}
_SHOWN = 40  # characters of what was not expected
_NEXT = re.compile(r"[^\s|()]{1,40}|\S?")
_HAS = re.compile(r"\bhas\s*\Z", re.IGNORECASE)
_LAST = re.compile(r"last\s+\d", re.IGNORECASE)
_EXPECTED = {
    "VALUE": "a value",
    "ITEM": "a value",
    "FIELD": "a condition",
    "NAME": "the name of a field",
    "NUMBER": "a number",
    "DURATION": "a duration such as 1m",
    "_BY": "by",
    "_PER": "per",
    "_WHERE": "where",
    "COMMA": "a comma",
    "RPAR": ")",
    "LPAR": "(",
    "_PIPE": "|",
}
"""What may be said of the terminals that may come, in this order."""


def parse(text: str, now_ns: int, default_ns: int = DEFAULT_SPAN_NS) -> Query:
    """Read a query; QuerySyntaxError says what is wrong, in which column of the text (one past its end at most)."""
    _check_text(text)
    try:
        tree = _grammar().parse(text)
        return Reader(now_ns, default_ns).transform(tree)
    except UnexpectedInput as error:
        raise _explained(text, error) from None
    except VisitError as error:
        if isinstance(error.orig_exc, QuerySyntaxError):
            raise error.orig_exc from None
        raise


class _Bounds:
    """Counts what a text has too much of, as its tokens come."""

    always_accept: ClassVar[tuple[str, ...]] = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Hand the tokens on, or raise QuerySyntaxError."""
        depth = values = names = stages = 0
        for token in stream:
            depth += (token.type == "LPAR") - (token.type == "RPAR")
            values += token.type in _VALUES
            names += token.type == "NAME" or (token.type == "BACKTICKED" and stages > 0)
            stages += token.type == "_PIPE"
            column = (token.start_pos or 0) + 1
            if depth > MAX_DEPTH:
                raise QuerySyntaxError(f"more than {MAX_DEPTH} parentheses in one another", column)
            if values > MAX_VALUES:
                raise QuerySyntaxError(f"more than {MAX_VALUES} words and values", column)
            if names > MAX_NAMES:
                raise QuerySyntaxError(f"more than {MAX_NAMES} fields in stages", column)
            if stages > MAX_STAGES:
                raise QuerySyntaxError(f"more than {MAX_STAGES} stages", column)
            yield token


@cache
def _grammar() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", postlex=_Bounds(), maybe_placeholders=False)


def _check_text(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise QuerySyntaxError(f"a query has at most {MAX_CHARACTERS} characters", MAX_CHARACTERS)
    for at, character in enumerate(text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise QuerySyntaxError("a character that is no text", at + 1)


def _explained(text: str, error: UnexpectedInput) -> QuerySyntaxError:
    at, expected = _failure(text, error)
    while at < len(text) and text[at].isspace():
        at += 1
    found = _NEXT.match(text, at)
    shown = found[0] if found else ""
    if "_TAIL" in expected:
        return _no_stage(shown, at)
    if shown[:1] in ("'", '"', "`"):
        return QuerySyntaxError(f"the quote {shown[0]} is not closed, or not expected", at + 1)
    if _LAST.match(text, at):
        return QuerySyntaxError("a time range stands once, before the words or after them", at + 1)
    if "VALUE" in expected and _HAS.search(text[max(at - _SHOWN, 0) : at]):
        return QuerySyntaxError("has needs a text", at + 1, 'has timeout; to search for the word itself, "has"')
    named = list(dict.fromkeys(said for terminal, said in _EXPECTED.items() if terminal in expected))
    what = f'"{shown[:_SHOWN]}" is not expected here' if shown else "the query is not complete"
    return QuerySyntaxError(what, at + 1, "expected " + " or ".join(named) if named else "")


def _failure(text: str, error: UnexpectedInput) -> tuple[int, set[str]]:
    """Return where it happened, and which terminals could have come there."""
    if isinstance(error, UnexpectedToken):
        at = len(text) if error.token.type == "$END" else (error.token.start_pos or 0)
        return at, set(error.accepts or error.expected)
    assert isinstance(error, UnexpectedCharacters), "lark knows no other"
    return error.pos_in_stream or 0, set(error.allowed or ())


def _no_stage(shown: str, at: int) -> QuerySyntaxError:
    message = f'"{shown[:_SHOWN]}" is no stage' if shown else "a stage is missing"
    return QuerySyntaxError(message, at + 1, hint(shown.lower(), STAGES) or "the stages are " + " ".join(STAGES))
