"""Every metric a doppler exposes."""

from __future__ import annotations

from typing import Protocol

from plumbing.ingress_server import IngressCounts
from plumbing.ledger import Account, total
from plumbing.metrics import Metrics


class Subscribed(Protocol):
    """Whoever keeps subscriptions and their books."""

    def accounts(self) -> list[Account]:
        """Show the books of all subscriptions."""

    @property
    def readers(self) -> int:
        """Open streams."""

    @property
    def subscriptions(self) -> int:
        """Subscriptions, lingering ones included."""

    @property
    def selected_sources(self) -> int:
        """Sources that some subscription asks for by name."""

    @property
    def without_v1(self) -> int:
        """Envelopes that no v1 reader could be offered, while there were any."""


def expose(metrics: Metrics, counts: IngressCounts, subscribed: Subscribed) -> None:
    """Register them; each is read when scraped."""

    def books() -> Account:
        return total("all", "subscription", subscribed.accounts())

    metrics.counter("doppler_envelopes_received_total", "Envelopes taken in.", lambda: counts.received)
    metrics.counter("doppler_messages_received_total", "gRPC messages taken in.", lambda: counts.messages)
    metrics.counter("doppler_envelopes_owed_total", "Envelopes owed to subscriptions.", lambda: books().received)
    metrics.counter(
        "doppler_envelopes_delivered_total", "Envelopes delivered to subscriptions.", lambda: books().delivered
    )
    metrics.counter(
        "doppler_envelopes_dropped_total",
        "Envelopes dropped, by reason.",
        lambda: {("malformed",): counts.malformed} | {(r,): n for r, n in books().dropped.items()},
        labels=("reason",),
    )
    metrics.counter(
        "doppler_envelopes_without_v1_total",
        "Envelopes that have no form on v1's wire, while anybody read it.",
        lambda: subscribed.without_v1,
    )
    metrics.gauge("doppler_envelopes_held", "Envelopes waiting for subscriptions.", lambda: books().held)
    metrics.gauge("doppler_subscriptions", "Subscriptions, lingering ones included.", lambda: subscribed.subscriptions)
    metrics.gauge(
        "doppler_selected_sources", "Sources that subscriptions ask for by name.", lambda: subscribed.selected_sources
    )
    metrics.gauge("doppler_readers", "Open subscriber streams.", lambda: subscribed.readers)
    metrics.counter(
        "doppler_ingress_streams_broken_total",
        "Streams whose client vanished or sent a message over the limit.",
        lambda: counts.broken_streams,
    )
    metrics.gauge("doppler_ingress_streams", "Open ingress streams.", lambda: counts.streams)
