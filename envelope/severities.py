"""Guess how severe a log line is, from the words that loggers write.

Looked at are the first 256 bytes. The first of these that is there decides:

- `<PRI>` at the very start, as syslog has it (RFC 5424 6.2.1), or a letter of IWEF with four digits, as klog has it;
- a level's name, standing alone, in capitals: `ERROR`, `WARN`;
- the same in any case, if it stands as a label: in brackets or quotes, behind `=` or before `:`, as in `[notice]`,
  `level=info`, `"level":"info"`, `error: no such file`.
"""

from __future__ import annotations

import re
import struct
from enum import IntEnum
from itertools import pairwise


class Severity(IntEnum):
    """How severe an event is; 0 when nobody can tell."""

    UNKNOWN = 0
    TRACE = 1
    DEBUG = 2
    INFO = 3
    WARN = 4
    ERROR = 5
    FATAL = 6


WORDS: dict[bytes, Severity] = {
    b"trace": Severity.TRACE,
    b"debug": Severity.DEBUG,
    b"verbose": Severity.DEBUG,
    b"info": Severity.INFO,
    b"information": Severity.INFO,
    b"informational": Severity.INFO,
    b"notice": Severity.INFO,
    b"warn": Severity.WARN,
    b"warning": Severity.WARN,
    b"err": Severity.ERROR,
    b"error": Severity.ERROR,
    b"severe": Severity.ERROR,
    b"fatal": Severity.FATAL,
    b"crit": Severity.FATAL,
    b"critical": Severity.FATAL,
    b"alert": Severity.FATAL,
    b"emerg": Severity.FATAL,
    b"emergency": Severity.FATAL,
    b"panic": Severity.FATAL,
}
"""The names of levels, in small letters."""

PRIORITIES = (*[Severity.FATAL] * 3, Severity.ERROR, Severity.WARN, Severity.INFO, Severity.INFO, Severity.DEBUG)
"""By the severity of syslog, 0 to 7 (RFC 5424 6.2.1)."""

_LOOKED_AT = 256
_PRI = re.compile(rb"<([0-9]{1,3})>")
_KLOG = re.compile(rb"([IWEF])[0-9]{4} ")
_OF_KLOG = {b"I": Severity.INFO, b"W": Severity.WARN, b"E": Severity.ERROR, b"F": Severity.FATAL}
_WORD = re.compile(rb"[A-Za-z0-9_]+")
_BEFORE = b"[<(=\"'"
_BEHIND = b"])>:\"'"
_MOST_PRI = 191


def guess(text: bytes) -> Severity:
    """Guess the severity of one line."""
    text = text[:_LOOKED_AT]
    if (pri := _PRI.match(text)) and int(pri[1]) <= _MOST_PRI:
        return PRIORITIES[int(pri[1]) & 7]
    if klog := _KLOG.match(text):
        return _OF_KLOG[klog[1]]
    for word in _WORD.finditer(text):
        severity = WORDS.get(word[0].lower())
        if severity is not None and (word[0].isupper() or _is_label(text, word.start(), word.end())):
            return severity
    return Severity.UNKNOWN


def severities_of(texts: bytes, ends: bytes) -> bytes:
    """Guess the severity of each text of `envelope.columns.Columns`: a uint8 for each."""
    offsets = struct.unpack(f"<{len(ends) // 4}i", ends)
    for row, (start, end) in enumerate(pairwise(offsets)):
        if not start <= end <= len(texts):
            raise ValueError(f"text {row} ends at {end}, and all of them at {len(texts)}")
    return bytes(guess(texts[start:end]) for start, end in pairwise(offsets))


def _is_label(text: bytes, start: int, end: int) -> bool:
    return text[max(0, start - 1) : start] in _only(_BEFORE) or text[end : end + 1] in _only(_BEHIND)


def _only(characters: bytes) -> set[bytes]:
    return {characters[at : at + 1] for at in range(len(characters))}
