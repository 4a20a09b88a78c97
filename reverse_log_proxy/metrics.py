"""Every metric a reverse log proxy exposes."""

from __future__ import annotations

from plumbing.egress_client import Dopplers
from plumbing.ledger import Account, total
from plumbing.metrics import Metrics
from reverse_log_proxy.gateway import Gateway
from reverse_log_proxy.gateway.metrics import expose as expose_gateway
from reverse_log_proxy.readers import Readers


def total_of(readers: Readers, gateway: Gateway | None) -> Account:
    """Add up the books of all subscribers, those of the gateway included."""
    parts = [readers.total(), gateway.sessions.total()] if gateway else [readers.total()]
    return total("all", "hop", parts)


def expose(metrics: Metrics, readers: Readers, dopplers: Dopplers, gateway: Gateway | None = None) -> None:
    """Register them; each is read when scraped."""

    def books() -> Account:
        return total_of(readers, gateway)

    def came() -> int:
        return books().received + books().returned

    room = "reverse_log_proxy"
    metrics.counter(f"{room}_envelopes_received_total", "Envelopes taken in.", came)
    metrics.counter(f"{room}_envelopes_delivered_total", "Envelopes sent.", lambda: books().delivered)
    metrics.counter(f"{room}_envelopes_skipped_total", "Malformed envelopes.", lambda: books().skipped)
    metrics.counter(
        f"{room}_envelopes_dropped_total",
        "Envelopes dropped, by reason.",
        lambda: {(reason,): float(count) for reason, count in books().dropped.items()},
        labels=("reason",),
    )
    metrics.gauge(f"{room}_envelopes_held", "Envelopes waiting for their subscriber.", lambda: books().held)
    metrics.gauge(f"{room}_envelopes_in_flight", "Envelopes sent and not confirmed.", lambda: books().in_flight)
    metrics.gauge(f"{room}_subscribers", "Open streams.", lambda: len(readers))
    metrics.counter(f"{room}_streams_rejected_total", "Streams beyond the limit.", lambda: readers.rejected)
    metrics.counter(f"{room}_doppler_connects_total", "Streams opened at Dopplers.", lambda: dopplers.connects)
    metrics.counter(f"{room}_doppler_disconnects_total", "Streams at Dopplers ended.", lambda: dopplers.disconnects)
    if gateway:
        expose_gateway(metrics, gateway)
