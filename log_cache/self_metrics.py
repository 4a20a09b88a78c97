"""What a log cache says of itself, through an agent: the original's names (loggregator.md 4.1)."""

from __future__ import annotations

import time
from functools import partial

import psutil

from log_cache.cache import Cache
from log_cache.cluster import Cluster
from log_cache.intake import Intake
from log_cache.memory import resident_bytes
from log_cache.queries import Queries
from log_cache.reads import Reads
from plumbing.ledger import total
from plumbing.self_metrics import SelfMetrics

ORIGIN = "loggregator.log_cache"
SOURCE_ID = "log-cache"
_MS = 1000


def make_self_metrics(
    intake: Intake, cache: Cache, cluster: Cluster | None, reads: Reads, queries: Queries, limit_bytes: int
) -> SelfMetrics:
    """Name the original's metrics; what is held is as of the last look at it, and memory is this process's."""
    began = time.monotonic()
    metrics = SelfMetrics(ORIGIN, SOURCE_ID)
    metrics.counter("log_cache_ingress", lambda: intake.counts.stored)
    metrics.counter("log_cache_egress", lambda: reads.counts.envelopes)
    metrics.counter("log_cache_expired", lambda: cache.seen.expired)
    metrics.gauge("log_cache_store_size", "entries", lambda: cache.seen.held)
    metrics.gauge("log_cache_cache_period", "milliseconds", lambda: cache.seen.period_s * _MS)
    metrics.gauge("log_cache_truncation_duration", "milliseconds", lambda: cache.seen.took_s * _MS)
    metrics.gauge("log_cache_memory_utilization", "percentage", lambda: 100 * resident_bytes() / limit_bytes)
    metrics.gauge("log_cache_heap_in_use_memory", "bytes", resident_bytes)
    metrics.gauge("log_cache_total_system_memory", "bytes", lambda: psutil.virtual_memory().total)
    metrics.gauge("log_cache_available_system_memory", "bytes", lambda: psutil.virtual_memory().available)
    metrics.gauge("log_cache_uptime", "seconds", lambda: time.monotonic() - began)
    metrics.gauge("log_cache_promql_instant_query_time", "milliseconds", lambda: queries.counts.last_s["instant"] * _MS)
    metrics.gauge("log_cache_promql_range_query_time", "milliseconds", lambda: queries.counts.last_s["range"] * _MS)
    metrics.counter("log_cache_promql_timeout", lambda: queries.counts.timeouts)
    if cluster is not None:
        _tell_of_peers(metrics, cluster)
    return metrics


def _tell_of_peers(metrics: SelfMetrics, cluster: Cluster) -> None:
    """Say what did not reach the other nodes, in envelopes: for each what did not wait for it, and what failed."""
    for node in cluster.others:
        dropped = partial(_dropped_for, cluster, node)
        metrics.counter("ingress_dropped", dropped, nodeIndex=str(node))
    metrics.counter(
        "log_cache_send_failures",
        lambda: total("", "", cluster.accounts()).dropped["peer_failed"],
        sender="batched_ingress_client",
    )


def _dropped_for(cluster: Cluster, node: int) -> int:
    return cluster.account(node).dropped["peer_full"]
