"""The last log lines of an app, as old clients ask for them (loggregator.md 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envelope.pb import dropsonde_pb2 as v1

MAX_LINES = 1000
"""As many as a log cache gives at once; also what is given to whoever does not say."""

_NO_LOG_CACHE = b"recent log endpoint requires a log cache. please talk to you operator"  # as the original spells it


def lines_asked_for(query: Mapping[str, Sequence[str]]) -> int:
    """Read `limit`: `MAX_LINES` if there is none, if it is no count, and if it is more."""
    asked = query.get("limit", [""])[0]
    if not asked.isascii() or not asked.isdecimal() or len(asked) > len(str(MAX_LINES)):
        return MAX_LINES
    return min(int(asked), MAX_LINES)


def no_log_cache(now_ns: int) -> v1.Envelope:
    """Say in a log line that there are no log lines, as the original does."""
    result = v1.Envelope(
        origin="loggregator.trafficcontroller", eventType=v1.Envelope.EventType.LogMessage, timestamp=now_ns
    )
    line: v1.LogMessage = result.logMessage
    line.message = _NO_LOG_CACHE
    line.message_type = v1.LogMessage.ERR
    line.timestamp = now_ns
    line.source_type = "Loggregator"
    return result
