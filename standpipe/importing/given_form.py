"""Find the time of a log line in a form that is given, as nanoseconds since 1970. No I/O, no clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from envelope.numbers_as_text import INT64
from standpipe.importing.line_times import HEAD_BYTES, MOST_YEARS, day_after

_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_strptime = datetime.strptime
_PATTERNS = {
    "Y": r"\d{4}", "y": r"\d\d", "m": r"\d{1,2}", "d": r"\d{1,2}", "H": r"\d{1,2}", "I": r"\d{1,2}", "M": r"\d{1,2}",
    "S": r"\d{1,2}", "f": r"\d{1,6}", "j": r"\d{1,3}", "b": r"[^\W\d_]{3,}", "B": r"[^\W\d_]{3,}",
    "a": r"[^\W\d_]{2,}", "A": r"[^\W\d_]{2,}", "p": r"[AaPp]\.?[Mm]\.?", "z": r"(?:Z|[+-]\d\d:?\d\d)", "%": "%",
}  # fmt: skip


class GivenForm:
    """Knows one form only, as `strptime` has it: `%d.%m.%Y %H:%M:%S`. About 10 µs a line."""

    def __init__(self, form: str, newest_ns: int, zone: tzinfo | None = None, year: int | None = None) -> None:
        """ValueError if it is no form of a time."""
        self._form = form
        self._zone = zone
        self._year = year
        self._newest = day_after(newest_ns)
        self._has_year = "%Y" in form or "%y" in form
        self._pattern = re.compile(_pattern_of(form))
        self._read = lru_cache(maxsize=4096)(self._parsed)

    def of(self, line: bytes) -> int | None:
        """Return the time of a line, None if it says none of this form near its start."""
        match = self._pattern.search(line[:HEAD_BYTES].decode("latin-1"))
        return self._read(match[0]) if match else None

    def _parsed(self, text: str) -> int | None:
        newest = self._newest.year
        years = [None] if self._has_year else [self._year] if self._year else range(newest, newest - MOST_YEARS, -1)
        for year in years:
            try:
                found = _strptime(text, self._form) if year is None else _strptime(f"{year} {text}", f"%Y {self._form}")
                found = found if found.tzinfo else found.replace(tzinfo=self._zone).astimezone(UTC)
            except (ValueError, OverflowError, OSError):
                continue
            if len(years) == 1 or found <= self._newest:
                time_ns = int((found - _EPOCH_START) / timedelta(microseconds=1)) * 1000
                return time_ns if time_ns in INT64 else None
        return None


def _pattern_of(form: str) -> str:
    parts = re.split(r"(%.)", form)
    said = [part for part in parts[1::2] if part != "%%"]
    wrong = [part for part in said if part[1] not in _PATTERNS or said.count(part) > 1]
    if wrong or not said:
        raise ValueError(f"{form!r} is no form of a time: {' '.join(wrong) or 'nothing in it begins with %'}")
    return "".join(_PATTERNS[part[1]] if at % 2 else re.escape(part) for at, part in enumerate(parts))
