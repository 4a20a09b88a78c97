"""Every metric the REST interface exposes."""

from __future__ import annotations

from log_cache.rest.service import Rest
from plumbing.auth.metrics import expose_authority
from plumbing.http.metrics import expose_connections, expose_requests
from plumbing.metrics import Metrics

_REST = "log_cache_rest"


def expose(metrics: Metrics, rest: Rest) -> None:
    """Register them; each is read when scraped."""
    counts = rest.door.counts
    expose_requests(metrics, _REST, counts)
    metrics.gauge(f"{_REST}_streams", "Open streams.", lambda: counts.streams)
    metrics.counter(f"{_REST}_events_total", "Events written into streams with data.", lambda: counts.events)
    expose_connections(metrics, _REST, rest.door.connections)
    expose_authority(metrics, "log_cache", rest.authority.counts)
