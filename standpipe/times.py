"""Read the moments and spans that people give on a command line. No clock: now is an argument."""

from __future__ import annotations

import re
from datetime import datetime

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[smhdw])", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}(?:\.\d{1,9})?", re.ASCII)
_EARLIEST_NUMBER = 10**8
"""Seconds since 1970 below this are somebody's span without its unit."""
_LATEST = 9_223_372_036.0


def parse_span(text: str) -> float:
    """Read a span of time in seconds: 90s, 5m, 1h30m. Raises `ValueError` for what is none."""
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no span of time like 90s, 5m or 1h30m")
    return float(sum(float(number) * _UNITS_S[unit] for number, unit in parts))


def parse_moment(text: str, now: float) -> float:
    """Read a moment in seconds since 1970: so long ago (5m), `now`, seconds since 1970, or a time in ISO 8601.

    A time without a zone is this machine's. Raises `ValueError` for what is none of these.
    """
    if text == "now":
        return now
    if _NUMBER.fullmatch(text):
        seconds = float(text)
        if not _EARLIEST_NUMBER <= seconds <= _LATEST:
            raise ValueError(f"{text} is no time in seconds since 1970; did you mean {text}s?")
        return seconds
    if _SPAN.match(text) and text[-1].isalpha() and "T" not in text and "Z" not in text:
        return now - parse_span(text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is no time: give a span like 5m, `now`, seconds since 1970, or 2026-01-31T12:00:00Z"
        ) from None
