"""Times and steps of a query, as clients write them (loggregator.md 4.3, 4.4). No clock."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import datetime

from log_cache.promql.values import QueryError

_MAX_TEXT = 64  # characters; longer ones are none
_MOST_S = 9_223_372_036.0  # beyond it nanoseconds do not fit into 64 bits
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# promql-parser reads durations too, but some text, such as "nan", makes it panic.
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_DAY_MS = 86_400_000
_UNITS_MS = (365 * _DAY_MS, 7 * _DAY_MS, _DAY_MS, 3_600_000, 60_000, 1000, 1)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_time(parameter: str, text: str) -> int:
    """Read seconds since 1970 or RFC 3339, to the millisecond; QueryError names the parameter."""
    seconds = _seconds(text)
    if seconds is not None and abs(seconds) <= _MOST_S:
        return round(seconds * 1000)
    if len(text) <= _MAX_TEXT and _RFC3339.fullmatch(text):
        with suppress(ValueError):  # a 13th month
            return round(datetime.fromisoformat(text).timestamp() * 1000)
    raise _unreadable(parameter, text, "a valid Unix or RFC3339 timestamp")


def parse_step(text: str) -> int:
    """Read seconds or a duration such as `1h30m`, in milliseconds; it may be zero or less. QueryError as above."""
    seconds = _seconds(text)
    if seconds is not None and abs(seconds) > _MOST_S:
        raise _unreadable("step", text, "a valid step. It overflows int64")
    if seconds is not None:
        return round(seconds * 1000)
    parts = _DURATION.fullmatch(text) if 0 < len(text) <= _MAX_TEXT else None
    if parts is None:
        raise _unreadable("step", text, "a valid step")
    return sum(int(part or 0) * unit_ms for part, unit_ms in zip(parts.groups(), _UNITS_MS, strict=True))


def _seconds(text: str) -> float | None:
    return float(text) if len(text) <= _MAX_TEXT and _DECIMAL.fullmatch(text) else None


def _unreadable(parameter: str, text: str, kind: str) -> QueryError:
    quoted = json.dumps(text[:_MAX_TEXT], ensure_ascii=False)
    return QueryError("bad_data", f"couldn't parse {parameter}: cannot parse {quoted} to {kind}")
