"""Every metric a traffic controller exposes."""

from __future__ import annotations

from typing import Protocol

from plumbing.auth import AuthorityCounts
from plumbing.auth.metrics import expose_authority
from plumbing.ledger import Account
from plumbing.metrics import Metrics
from traffic_controller.access_log import AccessLog
from traffic_controller.doors import Endpoint
from traffic_controller.http_errands import Errands
from traffic_controller.readers import Readers


class Visited(Protocol):
    """A server that counts its connections."""

    @property
    def connections(self) -> int:
        """How many there are."""

    @property
    def turned_away(self) -> int:
        """How many were too many."""


def expose_doors(
    metrics: Metrics, server: Visited, counts: AuthorityCounts, errands: Errands, access_log: AccessLog | None
) -> None:
    """Register what is known of those who come, and of those who are asked on their behalf."""
    metrics.gauge("traffic_controller_connections", "Open connections of clients.", lambda: server.connections)
    metrics.counter(
        "traffic_controller_connections_refused_total", "Connections beyond the limit.", lambda: server.turned_away
    )
    metrics.counter(
        "traffic_controller_log_cache_failures_total",
        "Questions that the log cache did not answer.",
        lambda: errands.log_cache_failures,
    )
    metrics.counter(
        "traffic_controller_access_log_failures_total",
        "Lines that could not be written to the security event log.",
        lambda: access_log.failures if access_log else 0,
    )
    expose_authority(metrics, "traffic_controller", counts)


def expose(metrics: Metrics, readers: Readers) -> None:
    """Register them; each is read when scraped."""

    def books() -> Account:
        return readers.total()

    metrics.counter(
        "traffic_controller_envelopes_received_total",
        "Envelopes taken in.",
        lambda: books().received + books().returned,
    )
    metrics.counter("traffic_controller_envelopes_delivered_total", "Envelopes sent.", lambda: books().delivered)
    metrics.counter(
        "traffic_controller_envelopes_skipped_total",
        "Envelopes with no v1 form, or not asked for.",
        lambda: books().skipped,
    )
    metrics.counter(
        "traffic_controller_envelopes_dropped_total",
        "Envelopes dropped for app streams: too slow, or left with some unread.",
        lambda: {(reason,): float(count) for reason, count in books().dropped.items()},
        labels=("reason",),
    )
    metrics.gauge("traffic_controller_envelopes_held", "Envelopes waiting for app streams.", lambda: books().held)
    metrics.gauge(
        "traffic_controller_envelopes_in_flight", "Envelopes sent and not confirmed.", lambda: books().in_flight
    )
    metrics.gauge("traffic_controller_firehoses", "Open firehoses.", lambda: readers.open_at(Endpoint.FIREHOSE))
    metrics.gauge("traffic_controller_app_streams", "Open app streams.", lambda: readers.open_at(Endpoint.STREAM))
    metrics.counter("traffic_controller_slow_consumers_total", "Clients cut off.", lambda: readers.slow_consumers)
    metrics.counter(
        "traffic_controller_requests_refused_total",
        "Requests refused, by HTTP status.",
        lambda: {(str(status),): float(count) for status, count in readers.refused.items()},
        labels=("status",),
    )
