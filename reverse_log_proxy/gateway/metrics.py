"""Every metric the gateway exposes, besides those of its envelopes, which its room counts."""

from __future__ import annotations

from plumbing.auth.metrics import expose_authority
from plumbing.http.metrics import expose_connections
from plumbing.metrics import Metrics
from reverse_log_proxy.gateway.service import Gateway

_GATEWAY = "reverse_log_proxy_gateway"


def expose(metrics: Metrics, gateway: Gateway) -> None:
    """Register them; each is read when scraped."""
    counts, streams = gateway.door.counts, gateway.door.streams
    metrics.gauge(f"{_GATEWAY}_streams", "Open streams.", lambda: streams.open)
    metrics.gauge(
        f"{_GATEWAY}_sessions", "Open streams, and sessions that wait to be resumed.", lambda: len(gateway.sessions)
    )
    metrics.counter(f"{_GATEWAY}_events_total", "Events written with data.", lambda: streams.events)
    metrics.counter(f"{_GATEWAY}_resumed_total", "Streams that continued an earlier one.", lambda: counts.resumed)
    metrics.counter(
        f"{_GATEWAY}_resume_failures_total", "Streams that could not, and began anew.", lambda: counts.resume_failures
    )
    expose_connections(metrics, _GATEWAY, gateway.door.connections)
    metrics.counter(
        f"{_GATEWAY}_refused_total",
        "Requests refused, by HTTP status.",
        lambda: {(str(status),): float(count) for status, count in counts.refused.items()},
        labels=("status",),
    )
    expose_authority(metrics, "reverse_log_proxy", gateway.authority.counts)
