"""Read the timestamps of syslog, as nanoseconds since 1970. No clock: when it is now is told.

What is no time, or none that an envelope can carry, is None.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from envelope.numbers_as_text import INT64

_ISO = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,]([0-9]{1,12}))?"
    rb"([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)
_MONTHS = {name: at for at, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_SECOND_NS = 10**9
_DAY_NS = 86_400 * _SECOND_NS
_KNOWN = 4096
_UTC_NAMES = (b"UTC", b"GMT")


def iso_ns(text: bytes, zone: tzinfo | None) -> int | None:
    """Read `2026-01-02T03:04:05.123456Z`, with an offset or without: then it is in `zone`, None for the machine's."""
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    moment, fraction, offset = match.groups()
    return _with_fraction(_iso_seconds(moment, offset, zone), fraction)


def bsd_ns(
    day: tuple[bytes, bytes], time: bytes, *, year: bytes, fraction: bytes, zone: tzinfo | None, now_ns: int
) -> int | None:
    """Read `Oct 11 22:14:15`, in the given year or in the one that puts it nearest to now."""
    return _with_fraction(_bsd_seconds(*day, time, year, zone, now_ns // _DAY_NS), fraction)


def zone_named(name: bytes | None, zone: tzinfo | None) -> tzinfo | None:
    """Return UTC if it is named so; other abbreviations are not told apart, and mean `zone`."""
    return UTC if name in _UTC_NAMES else zone


def _with_fraction(seconds: int | None, fraction: bytes | None) -> int | None:
    if seconds is None:
        return None
    time_ns = seconds * _SECOND_NS + (int(fraction[:9].ljust(9, b"0")) if fraction else 0)
    return time_ns if time_ns in INT64 else None


@lru_cache(maxsize=_KNOWN)  # most messages share their second with others
def _iso_seconds(moment: bytes, offset: bytes | None, zone: tzinfo | None) -> int | None:
    try:
        read = datetime.fromisoformat((moment + (offset or b"")).decode().upper())
        return int((read if read.tzinfo else read.replace(tzinfo=zone)).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=_KNOWN)
def _bsd_seconds(month: bytes, day: bytes, time: bytes, year: bytes, zone: tzinfo | None, today: int) -> int | None:
    hour, minute, second = map(int, time.split(b":"))
    now = today * (_DAY_NS // _SECOND_NS)
    this_year = datetime.fromtimestamp(now, UTC).year
    years = [int(year)] if year else [this_year - 1, this_year, this_year + 1]
    moments: list[int] = []
    for each in years:
        try:
            moment = datetime(each, _MONTHS[month], int(day), hour, minute, second, tzinfo=zone)
            moments.append(int(moment.timestamp()))
        except (ValueError, OverflowError, OSError):
            continue
    return min(moments, key=lambda moment: abs(moment - now), default=None)
