"""Every metric a traffic controller exposes."""

from __future__ import annotations

from plumbing.ledger import Account
from plumbing.metrics import Metrics
from traffic_controller.readers import Readers


def expose(metrics: Metrics, readers: Readers) -> None:
    """Register them; each is read when scraped."""

    def books() -> Account:
        return readers.total()

    metrics.counter("traffic_controller_envelopes_received_total", "Envelopes taken in.", lambda: books().received)
    metrics.counter("traffic_controller_envelopes_delivered_total", "Envelopes sent.", lambda: books().delivered)
    metrics.counter(
        "traffic_controller_envelopes_skipped_total",
        "Envelopes with no v1 form, or not asked for.",
        lambda: books().skipped,
    )
    metrics.counter(
        "traffic_controller_envelopes_dropped_total",
        "Envelopes dropped for slow app streams, by reason.",
        lambda: {(reason,): float(count) for reason, count in books().dropped.items()},
        labels=("reason",),
    )
    metrics.gauge("traffic_controller_envelopes_held", "Envelopes waiting for app streams.", lambda: books().held)
    metrics.gauge(
        "traffic_controller_envelopes_in_flight", "Envelopes sent and not confirmed.", lambda: books().in_flight
    )
    metrics.gauge("traffic_controller_firehoses", "Open firehoses.", lambda: readers.open_at("firehose"))
    metrics.gauge("traffic_controller_app_streams", "Open app streams.", lambda: readers.open_at("stream"))
    metrics.counter("traffic_controller_slow_consumers_total", "Clients cut off.", lambda: readers.slow_consumers)
    metrics.counter(
        "traffic_controller_requests_refused_total",
        "Requests refused, by HTTP status.",
        lambda: {(str(status),): float(count) for status, count in readers.refused.items()},
        labels=("status",),
    )
