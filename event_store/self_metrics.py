"""What an event store says of itself, through an agent."""

from __future__ import annotations

from event_store.metrics import Parts
from plumbing.self_metrics import SelfMetrics

ORIGIN = "standpipe.event_store"
SOURCE_ID = "event-store"


def make_self_metrics(parts: Parts) -> SelfMetrics:
    """Say how it goes, in the words of nozzles, and how much there is."""
    written, upkeep = parts.writer.counts, parts.upkeep
    metrics = SelfMetrics(ORIGIN, SOURCE_ID)
    metrics.counter("ingress", lambda: parts.intake.counts.fed)
    metrics.counter("egress", lambda: written.stored)
    metrics.counter("dropped", lambda: parts.account.dropped_total)
    metrics.counter("repeated", lambda: parts.intake.counts.repeated)
    metrics.counter("events", lambda: written.events)
    metrics.gauge("held", "envelopes", lambda: parts.account.held)
    metrics.gauge("stored_events", "events", lambda: upkeep.seen.events)
    metrics.gauge("disk", "bytes", lambda: upkeep.seen.segment_bytes + upkeep.seen.index_bytes + upkeep.seen.wal_bytes)
    metrics.gauge("full", "boolean", lambda: float(bool(parts.troubles)))
    return metrics
