"""What the message of an event must look like for a filter to let it through: patterns of Rust's regular expressions.

They are necessary, not sufficient: SQL has the last word about the rows that they find. Pure.
"""

from __future__ import annotations

import re

from event_store.engine.rust_regex import ANY, superset
from event_store.query.syntax import And, Expr, Has, Or, Regex, Word
from event_store.query.words import pattern_of


def necessary(expr: Expr) -> frozenset[str]:
    """Return patterns that each match the message of every event that meets the filter; none if none can be said."""
    match expr:
        case Word(text) if text:
            return frozenset({_word(text)})
        case Has("message", text) if text:
            return frozenset({pattern_of(text).replace(r"\b", r"(?-u:\b)")})  # where words are ASCII's in Rust too
        case Regex("message", pattern):
            made = superset(pattern)
            return frozenset({made} if made else ())
        case And(terms):
            return frozenset().union(*map(necessary, terms))
        case Or(terms):
            each = [necessary(term) for term in terms]
            return frozenset({"|".join(f"(?:{max(sorted(one), key=len)})" for one in each)} if all(each) else ())
        case _:
            return frozenset()


def _word(text: str) -> str:
    """Match a text whatever the case. Beyond ASCII engines fold differently; and a dotted capital İ is an i in SQL."""
    letters = "".join(re.escape(letter) if letter.isascii() else ANY for letter in text)
    return f"(?i){letters}" + ("|\u0130" if "i" in text.lower() else "")
