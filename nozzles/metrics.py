"""Every metric a nozzle exposes, and what it says of itself through an agent."""

from __future__ import annotations

import time
from dataclasses import dataclass

from envelope import kernel
from envelope.wire import fields
from nozzles.books import dropped, held
from nozzles.runner.delivery import Delivery
from nozzles.runner.source import Connections
from plumbing.backlog import Backlog
from plumbing.gathering.gathering import Gathering
from plumbing.gathering.intake import Intake
from plumbing.metrics import Metrics
from plumbing.self_metrics import SelfMetrics

_ROOM = "nozzle"
ORIGIN = "standpipe.nozzle"


@dataclass(frozen=True, slots=True)
class Parts:
    """What is counted in."""

    intake: Intake
    gathering: Gathering
    backlog: Backlog
    delivery: Delivery
    connections: Connections

    @property
    def lag_s(self) -> float:
        """How old the first of the batch is that the sink is to take now, by its own time; 0 when none waits."""
        batch = self.delivery.oldest
        first = next(fields(batch), None)
        timestamp_ns = kernel.spans(batch[first.start : first.end])[0][4] if first else 0
        return max(time.time() - timestamp_ns / 1e9, 0.0) if timestamp_ns > 0 else 0.0


def expose(metrics: Metrics, parts: Parts) -> None:
    """Register those of what comes in, what waits and what the sink takes."""
    counts, backlog, delivery = parts.intake.counts, parts.backlog, parts.delivery.counts
    metrics.counter(f"{_ROOM}_envelopes_received_total", "Envelopes from the Dopplers.", lambda: counts.fed)
    metrics.counter(
        f"{_ROOM}_envelopes_filtered_total", "Those not wanted, by filter and transforms.", lambda: counts.filtered
    )
    metrics.counter(
        f"{_ROOM}_envelopes_repeated_total", "Those that had come before, and were safe.", lambda: counts.repeated
    )
    metrics.counter(f"{_ROOM}_envelopes_recovered_total", "Found in the spool at the start.", lambda: backlog.recovered)
    metrics.counter(f"{_ROOM}_envelopes_delivered_total", "Envelopes that the sink took.", lambda: backlog.delivered)
    metrics.counter(f"{_ROOM}_envelopes_skipped_total", "Those with no form at the sink.", lambda: backlog.skipped)
    metrics.counter(
        f"{_ROOM}_envelopes_dropped_total",
        "Envelopes that did not get into the sink, by reason.",
        lambda: {
            ("malformed",): float(counts.fed_malformed),
            **{(reason,): float(count) for reason, count in dropped(backlog, delivery).items()},
        },
        labels=("reason",),
    )
    metrics.gauge(f"{_ROOM}_envelopes_held", "Envelopes that wait.", lambda: held(parts.gathering, backlog))
    metrics.gauge(f"{_ROOM}_held_bytes", "Bytes that wait, in memory and on disk.", lambda: backlog.held_bytes)
    metrics.gauge(f"{_ROOM}_lag_s", "Age of the oldest envelope that waits.", lambda: parts.lag_s)
    _expose_attempts(metrics, parts)


def _expose_attempts(metrics: Metrics, parts: Parts) -> None:
    """Register those of the connections on either side."""
    counts, connections = parts.delivery.counts, parts.connections
    metrics.counter(f"{_ROOM}_retries_total", "Attempts after a failed one.", lambda: counts.retries)
    metrics.counter(
        f"{_ROOM}_errors_total",
        "Failed attempts: unavailable, denied, timeout, refused, failed.",
        lambda: {(kind,): float(count) for kind, count in counts.errors.items()},
        labels=("kind",),
    )
    metrics.gauge(f"{_ROOM}_last_error_time", "Unix time of the last; 0: none.", lambda: counts.last_error_at)
    metrics.counter(
        f"{_ROOM}_doppler_connects_total", "Streams opened, whatever the source.", lambda: connections.connects
    )
    metrics.counter(f"{_ROOM}_doppler_disconnects_total", "Those that ended.", lambda: connections.disconnects)


def make_self_metrics(name: str, parts: Parts) -> SelfMetrics:
    """Say how it goes, under the nozzle's name."""
    backlog, delivery = parts.backlog, parts.delivery.counts
    metrics = SelfMetrics(ORIGIN, f"nozzle-{name}")
    metrics.counter("ingress", lambda: parts.intake.counts.fed)
    metrics.counter("egress", lambda: backlog.delivered)
    metrics.counter("dropped", lambda: sum(dropped(backlog, delivery).values()))
    metrics.counter("retries", lambda: delivery.retries)
    metrics.gauge("held", "envelopes", lambda: held(parts.gathering, backlog))
    metrics.gauge("lag", "seconds", lambda: parts.lag_s)
    return metrics
