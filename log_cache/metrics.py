"""Every metric a log cache exposes."""

from __future__ import annotations

from log_cache.cache import Cache
from log_cache.cluster import Cluster
from log_cache.intake import Intake
from log_cache.memory import resident_bytes
from log_cache.queries import Queries
from log_cache.reads import Reads
from log_cache.rest.metrics import expose as expose_rest
from log_cache.rest.service import Rest
from plumbing.egress_client import Dopplers
from plumbing.ledger import Account, total
from plumbing.metrics import Metrics

_ROOM = "log_cache"


def expose(metrics: Metrics, intake: Intake, cache: Cache, cluster: Cluster | None, limit_bytes: int) -> None:
    """Register those of what comes in and what is held; what is held is as of the last look at it."""
    counts = intake.counts
    metrics.counter(
        f"{_ROOM}_envelopes_received_total",
        "Envelopes taken in, by door.",
        lambda: {("dopplers",): counts.fed, ("send",): counts.sent},
        labels=("door",),
    )
    metrics.counter(f"{_ROOM}_envelopes_stored_total", "Envelopes taken into this node's cache.", lambda: counts.stored)
    metrics.counter(f"{_ROOM}_envelopes_expired_total", "Envelopes that went.", lambda: cache.seen.expired)
    metrics.counter(
        f"{_ROOM}_envelopes_dropped_total",
        "Envelopes dropped on their way in or to other nodes, by reason.",
        lambda: {
            ("malformed",): float(counts.fed_malformed + counts.sent_malformed),
            **{(reason,): float(count) for reason, count in _forwarded(cluster).dropped.items()},
        },
        labels=("reason",),
    )
    metrics.counter(
        f"{_ROOM}_envelopes_forwarded_total", "Envelopes given to other nodes.", lambda: _forwarded(cluster).delivered
    )
    metrics.gauge(f"{_ROOM}_envelopes_held", "Envelopes in the cache.", lambda: cache.seen.held)
    metrics.gauge(f"{_ROOM}_sources", "Sources in the cache.", lambda: cache.seen.sources)
    metrics.gauge(f"{_ROOM}_held_bytes", "Memory that the cache takes, packed.", lambda: cache.seen.held_bytes)
    metrics.gauge(f"{_ROOM}_raw_bytes", "Bytes of those envelopes as they came.", lambda: cache.seen.raw_bytes)
    metrics.gauge(f"{_ROOM}_period_s", "Age of the oldest envelope in the cache.", lambda: cache.seen.period_s)
    metrics.gauge(f"{_ROOM}_truncation_s", "How long the last look took.", lambda: cache.seen.took_s)
    metrics.gauge(f"{_ROOM}_memory_limit_bytes", "Memory that this process may take.", lambda: limit_bytes)
    metrics.gauge(f"{_ROOM}_memory_utilization", "How much of that it takes.", lambda: resident_bytes() / limit_bytes)


def expose_doors(
    metrics: Metrics, reads: Reads, queries: Queries, cache: Cache, dopplers: Dopplers, rest: Rest | None
) -> None:
    """Register those of what is asked."""
    counts = queries.counts
    metrics.counter(f"{_ROOM}_reads_total", "Reads answered out of this node's cache.", lambda: reads.counts.reads)
    metrics.counter(f"{_ROOM}_envelopes_read_total", "Envelopes in those.", lambda: reads.counts.envelopes)
    metrics.gauge(f"{_ROOM}_followers", "Reads that wait for something to arrive.", lambda: cache.waiting)
    metrics.counter(
        f"{_ROOM}_promql_queries_total",
        "PromQL queries, by kind; `listing` are questions about labels, series and metadata.",
        lambda: {(kind,): float(count) for kind, count in counts.queries.copy().items()},
        labels=("kind",),
    )
    metrics.counter(
        f"{_ROOM}_promql_seconds_total",
        "How long they took, by kind.",
        lambda: {(kind,): seconds for kind, seconds in counts.seconds.copy().items()},
        labels=("kind",),
    )
    metrics.counter(f"{_ROOM}_promql_failures_total", "Those that failed.", lambda: counts.failures)
    metrics.counter(f"{_ROOM}_promql_timeouts_total", "Those that took too long.", lambda: counts.timeouts)
    metrics.gauge(f"{_ROOM}_promql_running", "Those that run.", lambda: counts.running)
    metrics.counter(f"{_ROOM}_doppler_connects_total", "Streams opened at Dopplers.", lambda: dopplers.connects)
    metrics.counter(f"{_ROOM}_doppler_disconnects_total", "Streams at Dopplers ended.", lambda: dopplers.disconnects)
    if rest:
        expose_rest(metrics, rest)


def _forwarded(cluster: Cluster | None) -> Account:
    return total("peers", "forward", cluster.accounts() if cluster else [])
