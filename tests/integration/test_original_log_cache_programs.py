"""The autoscaler, the Cloud Controller and a traffic controller at our log cache (loggregator.md 1.16, 1.17, 3.1)."""

import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from envelope.pb.loggregator_v2_pb2 import Envelope
from tests.go_log_cache import Read, UnexpectedStatus
from tests.log_cache_node import logs
from tests.noaa import Consumer, Unauthorized
from tests.running import running
from tests.running_cache_cluster import cluster
from tests.running_log_cache import APP, LogCache, counter, log, texts

SECOND = 1_000_000_000
INTERVAL_S = 40
THROUGHPUT = f"sum by (instance_id) (count_over_time(http{{source_id='{APP}'}}[{INTERVAL_S}s])) / {INTERVAL_S}"
RESPONSE_TIME = f"avg by (instance_id) (max_over_time(http{{source_id='{APP}'}}[{INTERVAL_S}s])) / (1000 * 1000)"


def request(at: int, instance: int, took_ms: float, **tags: str) -> Envelope:
    """What the router sends of one request to the app."""
    stop = at - 1_000_000
    of_router = {
        "deployment": "cf",
        "job": "router",
        "origin": "gorouter",
        "peer_type": "Server",
        "method": "GET",
        "uri": "https://web.example/",
        "status_code": "200",
        "request_id": str(uuid.uuid4()),
        "routing_instance_id": "",
    }
    return Envelope(
        source_id=APP,
        instance_id=str(instance),
        timestamp=at,
        timer={"name": "http", "start": stop - round(took_ms * 1e6), "stop": stop},
        tags={**of_router, **tags},
    )


def container(at: int, instance: int, **metrics: float) -> Envelope:
    """What a cell sends of one container."""
    values = {name: {"unit": "bytes", "value": value} for name, value in metrics.items()}
    return Envelope(source_id=APP, instance_id=str(instance), timestamp=at, gauge={"metrics": values})


def by_instance(result: Any) -> dict[str, float]:
    return {sample.metric["instance_id"]: round(sample.point.value, 6) for sample in result.vector.samples}


async def test_the_autoscaler_counts_requests_of_which_many_fall_into_one_second(cache: LogCache) -> None:
    """Each has a request_id, so each is a series of its own, of one sample."""
    now = time.time_ns() // SECOND * SECOND
    requests = [request(now - 10 * SECOND + number, number % 2, 3) for number in range(50)]
    requests += [request(now - 11 * SECOND * number, 0, 3) for number in (1, 2, 3)]
    requests += [request(now - 90 * SECOND, 0, 3), log("x", now - SECOND), counter("http2", now - SECOND)]
    await cache.put(*requests)
    at = {"time": f"{now / SECOND:.3f}"}

    async with cache.library() as client:
        over_http = by_instance(await client.promql(THROUGHPUT, **at))

    assert over_http == {"0": 28 / INTERVAL_S, "1": 25 / INTERVAL_S}
    assert by_instance(await cache.grpc.promql(THROUGHPUT, **at)) == over_http


async def test_the_autoscaler_counts_every_request_of_a_router_that_names_none(cache: LogCache) -> None:
    """Without a request_id all are one series; of samples within a second none is lost."""
    now = time.time_ns() // SECOND * SECOND
    await cache.put(*[request(now - 10 * SECOND + number, 0, 3, request_id="") for number in range(30)])

    result = await cache.grpc.promql(THROUGHPUT, time=f"{now / SECOND:.3f}")

    assert by_instance(result) == {"0": 30 / INTERVAL_S}


async def test_the_autoscaler_measures_response_times(cache: LogCache) -> None:
    now = time.time_ns() // SECOND * SECOND
    times_ms = [10, 20, 60]
    await cache.put(*[request(now - 5 * SECOND + number, 3, took) for number, took in enumerate(times_ms)])
    at = {"time": f"{now / SECOND:.3f}"}

    async with cache.library() as client:
        assert by_instance(await client.promql(RESPONSE_TIME, **at)) == {"3": 30.0}


async def test_the_autoscaler_takes_an_empty_vector_for_no_requests(cache: LogCache) -> None:
    async with cache.library() as client:
        for answer in (await client.promql(THROUGHPUT, time="1700000000.000"), await cache.grpc.promql(THROUGHPUT)):
            assert answer.HasField("vector")
            assert len(answer.vector.samples) == 0


@pytest.mark.parametrize(
    ("name_filter", "names"),
    [
        ("memory|memory_quota", {"memory", "memory_quota"}),
        ("memory", {"memory", "memory_quota"}),
        ("cpu", {"cpu", "cpu_entitlement"}),
        ("cpu_entitlement", {"cpu_entitlement"}),
        ("disk|disk_quota", {"disk", "disk_quota"}),
        ("jobs.waiting", {"jobs.waiting"}),
    ],
)
async def test_the_autoscaler_reads_gauges_up_to_this_moment(
    cache: LogCache, name_filter: str, names: set[str]
) -> None:
    """It reads one span of time after the other: what is young is in this one, or in none."""
    now = time.time_ns()
    usage = {"cpu": 1.0, "cpu_entitlement": 2.0, "memory": 3.0, "memory_quota": 4.0, "disk": 5.0, "disk_quota": 6.0}
    await cache.put(
        container(now - 41 * SECOND, 0, **usage),
        container(now - 20 * SECOND, 0, **usage),
        container(now - 1, 1, **usage),
        Envelope(source_id=APP, timestamp=now - 2, gauge={"metrics": {"jobs.waiting": {"value": 7}}}),
        log("memory", now - 1),
    )
    asked: dict[str, Any] = {"end_time": now, "envelope_types": ["GAUGE"], "name_filter": name_filter}

    async with cache.library() as client:
        over_http = await client.read(APP, now - INTERVAL_S * SECOND, **asked)

    expected = [now - 2] if "jobs" in name_filter else [now - 20 * SECOND, now - 1]
    assert [envelope.timestamp for envelope in over_http] == expected
    assert all(set(envelope.gauge.metrics) == names for envelope in over_http)
    assert await cache.grpc.read(APP, now - INTERVAL_S * SECOND, **asked) == over_http


async def container_metrics(read: Read, source_id: str, now: int) -> dict[str, Envelope]:
    """What the Cloud Controller does for the stats of an app: gauges of two minutes, the newest of each instance."""
    found: list[Envelope] = []
    end = now
    for _ in range(100):
        asked = {"end_time": end, "limit": 1000, "descending": "true", "envelope_types": ["GAUGE"]}
        page = await read(source_id, now - 120 * SECOND, **asked)
        found += page
        if len(page) < 1000:
            break
        end = page[-1].timestamp - 1
    newest: dict[str, Envelope] = {}
    for envelope in found:
        newest.setdefault(envelope.instance_id, envelope)
    return newest


async def test_the_cloud_controller_finds_the_newest_metrics_of_every_instance(cache: LogCache) -> None:
    now = time.time_ns()
    rare = container(now - 119 * SECOND, 9, cpu=0.9, memory=9, disk=9)
    gone = container(now - 121 * SECOND, 8, cpu=0.8, memory=8, disk=8)
    often = [container(now - 100 * SECOND + 5 * number, number % 3, cpu=number) for number in range(2300)]
    await cache.put(rare, gone, *often, log("x", now - 1))

    newest = await container_metrics(cache.grpc.read, APP, now)

    assert newest == {"9": rare, **{envelope.instance_id: envelope for envelope in often[-3:]}}


@pytest.fixture
async def noaa(cache: LogCache, certs_dir: Path, tmp_path: Path) -> AsyncIterator[Consumer]:
    """A client of a traffic controller that asks our log cache, and takes the same tokens."""
    settings: dict[str, Any] = {"doppler_addresses": ["127.0.0.1:9"], "drain_grace_s": 0.2}
    settings |= {"log_cache_url": cache.url, "auth": {"tokens_dir": tmp_path / "cache-tokens"}}
    async with running("traffic_controller", certs_dir, **settings) as ports:
        yield Consumer(f"wss://{ports['listen']}", cache.trusting)


async def test_a_traffic_controller_has_recent_logs_from_the_cache(cache: LogCache, noaa: Consumer) -> None:
    now = time.time_ns() - 1200
    await cache.put(*[log(f"line {number}", now + number) for number in range(1100)], counter("c", now))

    lines = await noaa.recent_logs(APP, f"bearer {cache.token(APP)}")

    assert [line.message.decode() for line in lines] == [f"line {number}" for number in range(1099, 99, -1)]
    assert {(line.source_type, line.source_instance, line.app_id) for line in lines} == {("APP/PROC/WEB", "0", APP)}
    with pytest.raises(Unauthorized):
        await noaa.recent_logs(APP, f"bearer {cache.token('another')}")


async def test_a_traffic_controller_has_container_metrics_from_the_cache(cache: LogCache, noaa: Consumer) -> None:
    now = time.time_ns()
    usage = {"memory": 2.0, "disk": 3.0, "memory_quota": 4.0, "disk_quota": 5.0}
    sent = [container(now - age, instance, cpu=age, **usage) for age, instance in ((9, 1), (8, 0), (7, 1), (6, 0))]
    await cache.put(*sent, container(now - 1, 0, custom=1.0))

    metrics = await noaa.container_metrics(APP, f"bearer {cache.token(APP)}")

    assert [(metric.instanceIndex, metric.cpuPercentage) for metric in metrics] == [(0, 6.0), (1, 7.0)]
    assert {(metric.applicationId, metric.memoryBytes, metric.diskBytesQuota) for metric in metrics} == {(APP, 2, 5)}


async def test_a_reader_of_one_app_reads_no_other(cache: LogCache) -> None:
    await cache.put(log("x", 1), log("y", 1, "another"))

    async with cache.library(cache.token(APP)) as client:
        assert texts(await client.read(APP, 0)) == ["x"]
        with pytest.raises(UnexpectedStatus, match="404"):
            await client.read("another", 0)


async def test_whichever_node_of_a_cluster_is_asked_reads_mean_the_same(certs_dir: Path) -> None:
    """The node that holds the source is told that no end was named, and by when the settle window ends it."""
    async with cluster(certs_dir, 2, settle_s=3600.0) as nodes:
        now = time.time_ns()
        for index in (0, 1):
            source = nodes.source_of(index)
            await nodes[index].send(logs(source, [now - 3, now - 2, now - 2, now - 2]))
            for node in (nodes[0], nodes[1]):
                assert await node.read(source, start_time=now - SECOND) == []
                assert len(await node.read(source, start_time=now - SECOND, end_time=now)) == 4
                assert len(await node.read(source, start_time=now - SECOND, end_time=now, limit=2)) == 4
