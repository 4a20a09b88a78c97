"""From a regular expression of RE2 to one of Rust that finds at least as much: Polars has Rust's, and is faster. Pure.

It is only looked for rows that may match, so that it may find too many: what the two read differently is replaced by
something wider. RE2 knows ASCII digits, blanks and word characters only, Rust all of Unicode; in a class, Rust knows
sets in sets; a word's edge is left out.
"""

from __future__ import annotations

import re

ANY = "(?s:.)"
_FOLDED = "\u017f\u212a"  # letters beyond ASCII that are letters of ASCII in the other case
_OUTSIDE = {
    "d": "[0-9]",
    "D": "[^0-9]",
    "s": r"[\t\n\f\r ]",
    "S": r"[^\t\n\f\r ]",
    "w": f"[0-9A-Za-z_{_FOLDED}]",
    "W": "(?-i:[^0-9A-Za-z_])",
    "b": "(?:)",
    "B": "(?:)",
    **{letter: f"\\{letter}" for letter in "Aznrtfva"},
}
_INSIDE = {"d": "0-9", "s": r"\t\n\f\r ", "w": "0-9A-Za-z_"}

_INSENSITIVE = re.compile(r"\(\?[a-zA-Z]*i")
_GROUP = re.compile(r"\((?:\?(?:P?<\w+>|(?P<flags>[imsU]*(?:-[imsU]+)?)(?P<end>[:)]))|(?!\?))")
_REPEAT = re.compile(r"\{\d+(?:,\d*)?\}", re.ASCII)
_CLASS = re.compile(r"\[(?P<not>\^?)(?P<body>\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*)\]", re.DOTALL)
_PLAIN_CLASS = re.compile(
    r"""(?:[A-Za-z0-9]-[A-Za-z0-9]|\\[dswtnr.\-\]\[\\/^]|[A-Za-z0-9_ .,:;/@#%=+*?!"'<>(){}|$](?!-))+""", re.ASCII
)
_ESCAPE = re.compile(r"\\(?:x(?:\{(?P<long>[0-9A-Fa-f]+)\}|(?P<short>[0-9A-Fa-f]{2}))|(?P<letter>.))", re.DOTALL)


def superset(pattern: str) -> str | None:
    """Return a pattern of Rust that matches wherever this one of RE2 does; None where that cannot be said."""
    made, at = [], 0
    folds = _INSENSITIVE.search(pattern) is not None
    while at < len(pattern):
        letter = pattern[at]
        found = {"\\": _ESCAPE, "[": _CLASS, "(": _GROUP, "{": _REPEAT}.get(letter)
        match = found.match(pattern, at) if found else None
        if letter == "{" or found is None:
            piece = match[0] if match else _literal(letter)
        elif match is None:
            return None
        else:
            piece = _escape(match) if letter == "\\" else _class(match, folds) if letter == "[" else _group(match)
        if not piece:
            return None
        made.append(piece)
        at = match.end() if match else at + 1
    return "".join(made)


def _literal(letter: str) -> str:
    """Let ASCII stand as it is; in the other case, what is beyond may be whatever."""
    if letter == "{":
        return r"\{"
    return letter if letter.isascii() else ANY


def _escape(match: re.Match[str]) -> str:
    """Empty if it is not known."""
    letter = match["letter"]
    if letter is None:
        code = int(match["long"] or match["short"], 16)
        return re.escape(chr(code)) if code < 128 else ANY
    if letter in _OUTSIDE:
        return _OUTSIDE[letter]
    if not letter.isascii() or letter.isalnum():
        return ""
    return letter if letter in "_<>" else f"\\{letter}"


def _group(match: re.Match[str]) -> str:
    return f"(?{match['flags']}{match['end']}" if match["end"] else "(?:"


def _class(match: re.Match[str], folds: bool) -> str:
    body, negated = match["body"], bool(match["not"])
    if r"\Q" in body:
        return ""
    if not _PLAIN_CLASS.fullmatch(body) or (negated and folds):
        return ANY
    words = "" if negated else _FOLDED
    inside = _INSIDE | {"w": _INSIDE["w"] + words}
    translated = re.sub(r"\\(.)", lambda one: inside.get(one[1], one[0]), body)
    return f"[{match['not']}{translated}]"
