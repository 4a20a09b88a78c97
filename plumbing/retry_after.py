"""Read `Retry-After`, the header in which a server says when to come again (RFC 9110 10.2.3). No clock."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LATER = (429, 503)
"""The statuses with which it comes."""


def retry_after_s(header: str, now: datetime, most_s: float) -> float | None:
    """Read seconds or a date: how long to wait, `most_s` at most; None if it says nothing."""
    try:
        wait_s = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
        except ValueError:
            return None
        wait_s = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return None if math.isnan(wait_s) else min(max(wait_s, 0.0), most_s)
