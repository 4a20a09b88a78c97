"""The metrics that every HTTP interface exposes, under its own prefix."""

from __future__ import annotations

from plumbing.http.door import RequestCounts
from plumbing.http.server import HttpCounts
from plumbing.metrics import Metrics


def expose_requests(metrics: Metrics, prefix: str, counts: RequestCounts) -> None:
    """Register what became of requests."""
    metrics.counter(
        f"{prefix}_requests_total",
        "Requests, by what was asked for and the class of the status; `gone` is a client that did not wait for one.",
        lambda: {key: float(count) for key, count in counts.requests.items()},
        labels=("route", "status"),
    )


def expose_connections(metrics: Metrics, prefix: str, counts: HttpCounts) -> None:
    """Register what became of connections."""
    metrics.gauge(f"{prefix}_connections", "Open connections.", lambda: counts.open)
    metrics.counter(f"{prefix}_slow_readers_total", "Clients cut off for taking nothing.", lambda: counts.stalled)
    metrics.counter(f"{prefix}_connections_refused_total", "Connections beyond the limit.", lambda: counts.turned_away)
