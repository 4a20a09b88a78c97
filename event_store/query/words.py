"""Whole words: what `has` means, and which words a message must have for a filter to let its event through. Pure.

A word is a longest run of ASCII letters, digits and `_`, its case folded for ASCII alone; every other character,
letters beyond ASCII included, separates words. An index of words tells where a message with some of them may be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product

from event_store.query.syntax import And, Compare, Contains, Expr, Has, In, Or, Word

MOST_ALTERNATIVES = 16

_WORD = re.compile(r"[0-9A-Za-z_]+")
_ODD = str.maketrans({"\u0130": "i", "\u212a": "k"})
"""The letters beyond ASCII that SQL's `lower` makes one of ASCII: a dotted capital İ, and the sign of Kelvin.

A message may have one where an i or a k is searched. There are no others: ſ stays what it is, and test_words.py asks
DuckDB about every character.
"""
_SPLITTING = frozenset(_ODD.values())

Alternatives = tuple[frozenset[str], ...]
"""Sets of words: one of them is in the message as a whole. None at all says nothing; no set is empty."""


def pattern_of(text: str) -> str:
    r"""Return the regular expression that `has` looks for: RE2 reads it so, and Python does with re.ASCII.

    Classes fold the case, for `(?i)` would take the sign of Kelvin for a k. RE2's `\b` knows ASCII only, as it should.
    """
    letters = "".join(f"[{one.upper()}{one.lower()}]" if _is_letter(one) else re.escape(one) for one in text)
    begins, ends = (r"\b" if _WORD.fullmatch(edge) else "" for edge in (text[:1], text[-1:]))
    return f"{begins}{letters}{ends}"


def has(held: str, text: str) -> bool:
    """See whether the text occurs, whatever the case of ASCII, words beginning and ending where it does."""
    return re.search(pattern_of(text), held, re.ASCII) is not None


def words_within(text: str, *, whole: bool) -> frozenset[str]:
    """Return the words, in lower case, that a message has as whole words if it contains the text.

    As `has` finds it (`whole`), that is every word of the text. As a mere part, its first and last word may go on
    before and behind the text, so that only words between other characters count. And there SQL's `lower` decides: a
    message may have İ where an i is searched, or a Kelvin where a k is, either of which splits the word in two. So
    a word with an i or a k is not promised; and such a letter in the text itself is first made what it is searched as.
    Any other character of the text is in the message as it is, or as the same letter of ASCII in the other case.
    """
    if whole:
        return frozenset(word.lower() for word in _WORD.findall(text))
    return frozenset(word for word in _inner(text) if _SPLITTING.isdisjoint(word))


def necessary_words(expr: Expr) -> Alternatives:
    """Return what the message of every event that meets the filter must have as whole words."""
    match expr:
        case Has("message", text):
            return _said([words_within(text, whole=True)])
        case Word(text) | Contains("message", text):
            return _contained(text)
        case Compare("message", "==", value):
            return _said([words_within(value, whole=True)])
        case In("message", values):
            return _said([words_within(value, whole=True) for value in values])
        case And(terms):
            made: Alternatives = ()
            for term in terms:
                made = _both(made, necessary_words(term))
            return made
        case Or(terms):
            each = [necessary_words(term) for term in terms]
            return _said([words for one in each for words in one]) if all(each) else ()
        case _:
            return ()


def _contained(text: str) -> Alternatives:
    """Return what a message has that contains the text: `timed`, or `t` and `med` where an İ splits it."""
    made = [words_within(text, whole=False)]
    for word in sorted(_inner(text), key=len):
        forms = 2 ** sum(letter in _SPLITTING for letter in word)
        if 1 < forms <= MOST_ALTERNATIVES // len(made) and not _SPLITTING.issuperset(word):
            split = product(*((letter, " ") if letter in _SPLITTING else (letter,) for letter in word))
            made = [one | frozenset("".join(letters).split()) for letters in split for one in made]
    return _said(made)


def _inner(text: str) -> frozenset[str]:
    """Return the words with others on both sides, as SQL looks for them."""
    folded = text.translate(_ODD).lower()
    found = _WORD.finditer(folded)
    return frozenset(match[0] for match in found if match.start() > 0 and match.end() < len(folded))


def _both(left: Alternatives, right: Alternatives) -> Alternatives:
    """Join each with each; where those would be too many, what says more: the fewer alternatives."""
    if not left or not right:
        return left or right
    joined = _said(one | other for one in left for other in right)
    return joined or min(left, right, key=len)


def _said(alternatives: Iterable[frozenset[str]]) -> Alternatives:
    """Leave out what is there twice; nothing is said by too many, nor where one of them is no word at all."""
    made = tuple(dict.fromkeys(alternatives))
    return made if len(made) <= MOST_ALTERNATIVES and all(made) else ()


def _is_letter(character: str) -> bool:
    return character.isascii() and character.isalpha()
