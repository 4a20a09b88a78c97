"""Every metric the REST interface exposes."""

from __future__ import annotations

from log_cache.rest.service import Rest
from plumbing.auth.metrics import expose_authority
from plumbing.metrics import Metrics

_REST = "log_cache_rest"


def expose(metrics: Metrics, rest: Rest) -> None:
    """Register them; each is read when scraped."""
    counts, connections = rest.door.counts, rest.connections
    metrics.counter(
        f"{_REST}_requests_total",
        "Requests, by what was asked for and the class of the status; `gone` is a client that did not wait for one.",
        lambda: {key: float(count) for key, count in counts.requests.copy().items()},
        labels=("route", "status"),
    )
    metrics.gauge(f"{_REST}_streams", "Open streams.", lambda: counts.streams)
    metrics.counter(f"{_REST}_events_total", "Events written into streams with data.", lambda: counts.events)
    metrics.gauge(f"{_REST}_connections", "Open connections.", lambda: connections.open)
    metrics.counter(f"{_REST}_slow_readers_total", "Clients cut off for taking nothing.", lambda: connections.stalled)
    metrics.counter(
        f"{_REST}_connections_refused_total", "Connections beyond the limit.", lambda: connections.turned_away
    )
    expose_authority(metrics, "log_cache", rest.authority.counts)
