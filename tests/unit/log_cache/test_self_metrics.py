"""What a log cache says of itself has the original's names and units (loggregator.md 4.1)."""

import asyncio
from pathlib import Path

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache.cache import Cache
from log_cache.cluster import Cluster
from log_cache.intake import Intake
from log_cache.memory import MemoryLimit
from log_cache.queries import Queries
from log_cache.reads import Reads
from log_cache.self_metrics import make_self_metrics
from log_cache.store import Store, StoreLimits
from plumbing.tls import TlsFiles

PLENTY = 1 << 40  # the process that runs the tests may have grown beyond any ordinary limit


def _sent(*, cluster: Cluster | None = None) -> list[Envelope]:
    cache = Cache(Store(StoreLimits()), lambda: 3_000_000_000)
    intake = Intake(cache)
    batch = EnvelopeBatch(batch=[Envelope(source_id="a", timestamp=1_000_000_000)]).SerializeToString()
    asyncio.run(intake.take(batch, local_only=True))
    cache.tidy(MemoryLimit(PLENTY))
    reads = Reads(cache, incarnation=0, now_ns=lambda: 0, settle_ns=0, threads=1)
    queries = Queries(reads, now_ns=lambda: 0, timeout_s=1, at_once=1)
    metrics = make_self_metrics(intake, cache, cluster, reads, queries, PLENTY)
    return list(EnvelopeBatch.FromString(metrics.batch(7).batch).batch)


def test_counters_are_those_of_the_original() -> None:
    totals = {each.counter.name: each.counter.total for each in _sent() if each.HasField("counter")}

    assert totals == {
        "log_cache_ingress": 1,
        "log_cache_egress": 0,
        "log_cache_expired": 0,
        "log_cache_promql_timeout": 0,
    }


def test_gauges_are_those_of_the_original_with_its_units() -> None:
    gauges = {name: value for each in _sent() for name, value in each.gauge.metrics.items()}

    assert gauges["log_cache_store_size"].value == 1
    assert (gauges["log_cache_cache_period"].value, gauges["log_cache_cache_period"].unit) == (2_000, "milliseconds")
    assert gauges["log_cache_truncation_duration"].unit == "milliseconds"
    assert 0 < gauges["log_cache_memory_utilization"].value < 100
    assert gauges.keys() > {
        "log_cache_truncation_duration",
        "log_cache_heap_in_use_memory",
        "log_cache_total_system_memory",
        "log_cache_available_system_memory",
        "log_cache_uptime",
        "log_cache_promql_instant_query_time",
        "log_cache_promql_range_query_time",
    }


def test_a_node_of_a_cluster_tells_of_what_it_could_not_forward() -> None:
    cluster = Cluster(["there:1", "here:1", "elsewhere:1"], 1, TlsFiles.named(Path("nowhere"), "none"))

    sent = _sent(cluster=cluster)

    failures = [each for each in sent if each.counter.name == "log_cache_send_failures"]
    assert [each.tags["sender"] for each in failures] == ["batched_ingress_client"]
    dropped = [each for each in sent if each.counter.name == "ingress_dropped"]
    assert [each.tags["nodeIndex"] for each in dropped] == ["0", "2"]
    assert {each.source_id for each in sent} == {"log-cache"}
