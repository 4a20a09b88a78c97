"""Times and durations as people write them, in nanoseconds. No clock: "now" is given."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
_UNITS_NS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "d": DAY_NS,
    "w": 7 * DAY_NS,
}
_WORDS = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "hr": "h", "day": "d", "week": "w"}
MAX_DURATION_NS = 100 * 366 * DAY_NS
_MAX_TEXT = 64
_FIRST_NS, _LAST_NS = -(2**63) + DAY_NS, 2**63 - DAY_NS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_PART = re.compile(r"(\d{1,19})(?:\.(\d{1,9}))?\s*([a-zµ]+)\s*", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"(\d{1,19})(?:\.(\d{1,9}))?", re.ASCII)
_CLOCK = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?", re.ASCII)
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_MAGNITUDES = ((10**11, SECOND_NS), (10**14, 1_000_000), (10**17, 1000), (10**20, 1))
"""A number below the first is of the unit beside it: s, ms, µs, ns."""

TIME_FORMS = "write a time as 2026-01-31T14:00:00Z, 2026-01-31, 14:00, 2h (ago), now, or seconds since 1970"
DURATION_FORMS = "write a duration as 30s, 15m, 1h30m, 2d or 1w"


def parse_duration(text: str) -> int:
    """Read `15m`, `1h30m`, `1.5h` or `2 hours`; ValueError says why not. It is more than 0 and at most 100 years."""
    total, at = 0, 0
    text = text.strip()
    while at < len(text) <= _MAX_TEXT and (part := _PART.match(text, at)):
        whole, fraction, written = part.groups()
        unit_ns = _unit_ns(written.lower())
        total += int(whole) * unit_ns + int((fraction or "").ljust(9, "0")) * unit_ns // SECOND_NS
        at = part.end()
    if not text or at < len(text):
        raise ValueError(f"{_quoted(text)} is no duration")
    if not 0 < total <= MAX_DURATION_NS:
        raise ValueError(f"{_quoted(text)} is not between 1ns and 100 years")
    return total


def format_duration(duration_ns: int) -> str:
    """Write a duration in its largest whole unit."""
    unit, unit_ns = next((u, n) for u, n in reversed(_UNITS_NS.items()) if u != "µs" and duration_ns % n == 0)
    return f"{duration_ns // unit_ns}{unit}"


def parse_time(text: str, now_ns: int) -> int:
    """Read a time: ISO 8601 (UTC unless it says otherwise), a date, a clock time of today, how long ago, or epoch.

    Epoch is in s, ms, µs or ns, as its magnitude says. ValueError says why it is none.
    """
    text = text.strip()
    moment = _parse(text, now_ns) if len(text) <= _MAX_TEXT else None
    if moment is None:
        raise ValueError(f"{_quoted(text)} is no time")
    if not _FIRST_NS <= moment <= _LAST_NS:
        raise ValueError(f"{_quoted(text)} is before 1677 or after 2262")
    return moment


def format_time(moment_ns: int) -> str:
    """Write a time in ISO 8601, UTC, as far as the nanosecond if it has some."""
    seconds, nanoseconds = divmod(moment_ns, SECOND_NS)
    written = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return written + (f".{nanoseconds:09d}Z" if nanoseconds else "Z")


def _parse(text: str, now_ns: int) -> int | None:
    today = now_ns // DAY_NS * DAY_NS
    named = {"now": now_ns, "today": today, "yesterday": today - DAY_NS}.get(text.lower())
    if named is not None:
        return named
    if number := _NUMBER.fullmatch(text):
        return _epoch(int(number[1]), number[2] or "")
    if clock := _CLOCK.fullmatch(text):
        return today + _clock_ns(int(clock[1]), int(clock[2]), int(clock[3] or 0))
    if iso := _ISO.fullmatch(text):
        return _iso(iso)
    ago = text.removesuffix("ago").removeprefix("-")
    return now_ns - parse_duration(ago) if _PART.match(ago) else None


def _epoch(whole: int, fraction: str) -> int:
    unit_ns = next(unit for below, unit in _MAGNITUDES if whole < below)
    return whole * unit_ns + int(fraction.ljust(9, "0")) * unit_ns // SECOND_NS


def _clock_ns(hour: int, minute: int, second: int) -> int:
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{hour:02}:{minute:02}:{second:02} is no time of day")
    return (hour * 3600 + minute * 60 + second) * SECOND_NS


def _iso(iso: re.Match[str]) -> int:
    date, clock, second, fraction, zone = iso.groups()
    whole = datetime.fromisoformat(f"{date}T{clock or '00:00'}:{second or '00'}{(zone or 'Z').upper()}")
    return (whole - _EPOCH) // timedelta(seconds=1) * SECOND_NS + int((fraction or "").ljust(9, "0"))


def _unit_ns(unit: str) -> int:
    known = unit if unit in _UNITS_NS else _WORDS.get(unit.removesuffix("s"), "")
    if not known:
        raise ValueError(f"{_quoted(unit)} is no unit of time")
    return _UNITS_NS[known]


def _quoted(text: str) -> str:
    return f'"{text[:_MAX_TEXT]}"'
