"""From a token of the query language to the value it writes. Raises QuerySyntaxError, with the token's column."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import re2  # type: ignore[import-untyped]  # ships no types
from lark import Token

from event_store.query.names import canonical
from event_store.query.syntax import QuerySyntaxError

MAX_ROWS = 1_000_000
_MAX_COMPILED_BYTES = 1 << 20
_ESCAPED = re.compile(r"\\([\\\"'])")
_T = TypeVar("_T")


def column(token: Token) -> int:
    """Return the column in which the token begins, from 1."""
    return (token.start_pos or 0) + 1


def text(token: Token) -> str:
    """Read a word, or what stands in quotes, where a backslash makes itself and quotes stand for themselves."""
    return _ESCAPED.sub(r"\1", token[1:-1]) if token.type == "QUOTED" else str(token)


def name(token: Token) -> str:
    """Read the name of a field, with or without backticks; an alias becomes the name it stands for."""
    return canonical(token[1:-1] if token.type == "BACKTICKED" else str(token))


def searched(token: Token) -> str:
    """Read the name of a field that is looked at as text."""
    if name(token) == "time":
        raise QuerySyntaxError("time cannot be searched as text", column(token), "compare it: time >= 14:00")
    return name(token)


def pattern(token: Token) -> str:
    """Read a regular expression, in slashes, quotes or as a word: one that RE2 takes."""
    written, offset = text(token), int(token.type != "VALUE")
    if token.type == "REGEX":
        body, _, flag = token[1:].rpartition("/")
        written = ("(?i)" if flag else "") + body.replace("\\/", "/")
    options = re2.Options()
    options.max_mem = _MAX_COMPILED_BYTES
    options.log_errors = False  # RE2 would write to the process's stderr
    options.never_capture = True
    try:
        re2.compile(written, options)
    except re2.error as error:
        reason = error.args[0] if isinstance(error.args[0], str) else error.args[0].decode("utf-8", "replace")
        _, colon, where = reason.partition(": ")
        found = max(token.find(where, offset), 0) if colon and where else 0
        raise QuerySyntaxError(f"bad regular expression: {reason}", column(token) + found) from None
    return written


def count(token: Token) -> int:
    """Read how many rows: 1 to MAX_ROWS."""
    number = int(token[:10])
    if len(token) > 9 or not 1 <= number <= MAX_ROWS:
        raise QuerySyntaxError(f"a number of rows is 1 to {MAX_ROWS}", column(token))
    return number


def measure(token: Token) -> str:
    """Read the name of a figure; a percentile without needless zeros."""
    lower = token.lower()
    return f"p{float(lower[1:]):g}" if lower[1].isdigit() else lower


def parsed(parse: Callable[[str], _T], written: str, token: Token, forms: str) -> _T:
    """Parse what is written in a token; what is wrong with it is said with the forms that are right."""
    try:
        return parse(written)
    except ValueError as error:
        raise QuerySyntaxError(str(error), column(token), forms) from None
