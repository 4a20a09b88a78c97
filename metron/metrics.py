"""Every metric an agent exposes (its own names; loggregator.md 1.1 lists the original's)."""

from __future__ import annotations

from metron.agent import Agent
from metron.sources import SourceCounts
from plumbing.metrics import Metrics


def expose(metrics: Metrics, agent: Agent, sources: SourceCounts) -> None:
    """Register them; each is read when scraped."""
    metrics.counter("metron_envelopes_received_total", "Envelopes taken in.", lambda: agent.account().received)
    metrics.counter("metron_envelopes_delivered_total", "Envelopes sent on.", lambda: agent.account().delivered)
    metrics.counter(
        "metron_envelopes_dropped_total",
        "Envelopes dropped, by reason.",
        lambda: {(reason,): float(count) for reason, count in agent.account().dropped.items()},
        labels=("reason",),
    )
    metrics.gauge("metron_envelopes_held", "Envelopes waiting for a Doppler.", lambda: agent.diode.held)
    metrics.gauge(
        "metron_envelopes_in_flight", "Envelopes sent and not confirmed.", lambda: agent.account().in_flight
    )
    metrics.counter(
        "metron_envelopes_returned_total",
        "Envelopes taken back from broken streams and sent again.",
        lambda: sum(link.returned for link in agent.links),
    )
    metrics.counter(
        "metron_origin_mappings_total",
        "Envelopes named after their origin tag, for want of a source_id.",
        lambda: agent.origin_mappings,
    )
    metrics.gauge(
        "metron_doppler_connections", "Open links to Dopplers.", lambda: sum(link.connected for link in agent.links)
    )
    metrics.gauge("metron_ingress_streams", "Open ingress streams.", lambda: agent.doors.streams)
