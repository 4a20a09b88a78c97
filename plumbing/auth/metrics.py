"""The metrics of a door's authority."""

from __future__ import annotations

from plumbing.auth.decisions import AuthorityCounts
from plumbing.metrics import Metrics


def expose_authority(metrics: Metrics, room: str, counts: AuthorityCounts) -> None:
    """Expose `<room>_auth_questions_total`, by who was asked and whether: asked, cached or failed."""
    metrics.counter(
        f"{room}_auth_questions_total",
        "Questions about access: put to the authority, answered from what it said before, or of the asked, failed.",
        counts.readings,
        ("authority", "outcome"),
    )
