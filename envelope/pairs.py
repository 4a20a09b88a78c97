r"""Find `key=value` pairs in a line of a log, in one pass over it.

A key begins the line or stands behind white space or one of `,;([{|`: a letter or `_`, then up to 99 letters, digits
and `_.-`. Its value is what stands in double quotes, where `\` takes the next character with it; or else all up to
white space or one of `,;)]}|"`, at least one character, which must not begin with `=`. A quote that does not end is
the end of the search.
"""

from __future__ import annotations

import re
from enum import IntEnum


class PairKind(IntEnum):
    """What stands behind a key."""

    TEXT = 0
    NUMBER = 1
    """Bare digits, perhaps with a sign, a point and an exponent."""
    QUOTED = 2


_KEY = re.compile(rb"(?:\A|[\s,;(\[{|])([A-Za-z_][A-Za-z0-9_.\-]{0,99})=")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_BARE = re.compile(rb'[^\s,;)\]}|"=][^\s,;)\]}|"]*')
_NUMBER = re.compile(rb"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{1,18})?|\.[0-9]{1,18})(?:[eE][+-]?[0-9]{1,3})?")


def pairs_of(line: bytes, most: int) -> list[tuple[bytes, bytes, int]]:
    """Return the first `most` pairs of a line: (key, value as it stands there, `PairKind`)."""
    found: list[tuple[bytes, bytes, int]] = []
    at = 0
    while len(found) < most and (key := _KEY.search(line, at)):
        at = key.end()
        if line[at : at + 1] == b'"':
            quoted = _QUOTED.match(line, at)
            if quoted is None:
                break
            found.append((key[1], quoted[1], PairKind.QUOTED))
            at = quoted.end()
        elif bare := _BARE.match(line, at):
            kind = PairKind.NUMBER if _NUMBER.fullmatch(bare[0]) else PairKind.TEXT
            found.append((key[1], bare[0], kind))
            at = bare.end()
    return found
