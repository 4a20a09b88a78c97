"""How each drain fares, for people and programs. Pure."""

from __future__ import annotations

from typing import Any

from syslog_adapter.binding import Binding
from syslog_adapter.drain import Drain
from syslog_adapter.drain_url import redacted

REJECTED = "rejected"
"""The state of a binding that is no drain."""

_COUNTS = ("sent", "retried", "lost", "skipped", "held", "on_disk")


def status_of(drain: Drain, now: float) -> dict[str, Any]:
    """Describe a drain; its URL is redacted."""
    return {
        "url": drain.shown_url,
        "source_id": drain.binding.source_id,
        "state": drain.state,
        "last_error": drain.last_error,
        "lag_s": round(drain.lag_s(now), 3),
        **{name: getattr(drain, name) for name in _COUNTS},
    }


def status_of_rejected(binding: Binding, reason: str) -> dict[str, Any]:
    """Describe a binding that is no drain in the same way; `reason` says why."""
    return {
        "url": redacted(binding.url),
        "source_id": binding.source_id,
        "state": REJECTED,
        "last_error": reason,
        "lag_s": 0.0,
        **dict.fromkeys(_COUNTS, 0),
    }
