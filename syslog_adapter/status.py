"""How each drain fares, for people and programs. Pure."""

from __future__ import annotations

from typing import Any

from syslog_adapter.drain import Drain


def status_of(drain: Drain, now: float) -> dict[str, Any]:
    """Describe a drain; its URL is redacted."""
    return {
        "url": drain.shown_url,
        "source_id": drain.binding.source_id,
        "state": drain.state,
        "last_error": drain.last_error,
        "lag_s": round(drain.lag_s(now), 3),
        "sent": drain.sent,
        "retried": drain.retried,
        "lost": drain.lost,
        "skipped": drain.skipped,
        "held": drain.held,
        "on_disk": drain.on_disk,
    }
