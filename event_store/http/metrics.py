"""Every metric that the HTTP API exposes."""

from __future__ import annotations

from event_store.http.service import Http
from plumbing.auth.metrics import expose_authority
from plumbing.http.metrics import expose_connections, expose_requests
from plumbing.metrics import Metrics

_HTTP = "event_store_http"


def expose(metrics: Metrics, http: Http) -> None:
    """Register them; each is read when scraped."""
    runs, tails = http.runs.counts, http.tails.counts
    expose_requests(metrics, _HTTP, http.door.counts)
    expose_connections(metrics, _HTTP, http.door.connections)
    metrics.gauge(f"{_HTTP}_queries", "Queries under way.", lambda: runs.running)
    metrics.counter(f"{_HTTP}_queries_cancelled_total", "Queries whose client left.", lambda: runs.cancelled)
    metrics.counter(f"{_HTTP}_queries_refused_total", "Queries that found no room.", lambda: runs.turned_away)
    metrics.gauge(f"{_HTTP}_tails", "Live tails that are open.", lambda: tails.open)
    metrics.counter(f"{_HTTP}_tail_events_total", "Events handed to live tails.", lambda: tails.events)
    metrics.counter(
        f"{_HTTP}_tail_events_dropped_total", "Events that a live tail was told it did not get.", lambda: tails.dropped
    )
    expose_authority(metrics, "event_store", http.authority.counts)
