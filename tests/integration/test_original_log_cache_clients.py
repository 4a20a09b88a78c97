"""The library of Go programs at our log cache, over HTTP and over gRPC (loggregator.md 2.7, 4.1, 4.3, 4.4)."""

import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope, Value
from tests.go_log_cache import ZERO_TIME, UnexpectedStatus, escaped
from tests.running_log_cache import APP, LogCache, counter, log, open_log_cache, texts

SECOND = 1_000_000_000


OF_EVERY_KIND = [
    log(
        "ä\n\x00", 1, deprecated_tags={"old": Value(text="x"), "n": Value(integer=-(1 << 63)), "d": Value(decimal=0.5)}
    ),
    Envelope(source_id=APP, timestamp=-1, log={"payload": b"\xff\xfe", "type": "ERR"}),
    counter("requests", 1_700_000_000_123_456_789, (1 << 64) - 1),
    Envelope(
        source_id=APP,
        timestamp=(1 << 62),
        gauge={"metrics": {"cpu": {"unit": "percentage", "value": 0.1}, "odd": {"value": math.inf}}},
    ),
    Envelope(source_id=APP, timestamp=3, timer={"name": "http", "start": -5, "stop": (1 << 63) - 1}),
    Envelope(source_id=APP, timestamp=4, event={"title": "crash", "body": "it did"}, tags={"": ""}),
    Envelope(source_id=APP, timestamp=5),
]


async def test_the_library_asks_for_the_version_first_and_once(cache: LogCache) -> None:
    async with cache.library() as client:
        await client.read(APP, 0)
        base = client.base

        assert base == "/api/v1"
        assert await client.version() >= (2, 1, 0)  # or a name filter is refused by the client itself
        assert await client.uptime_s() > 0


async def test_whatever_is_sent_is_read_the_same_over_http_and_grpc(cache: LogCache) -> None:
    await cache.put(*OF_EVERY_KIND)
    in_order = sorted(OF_EVERY_KIND, key=lambda envelope: envelope.timestamp)
    ever = {"end_time": (1 << 63) - 1}

    async with cache.library() as client:
        assert await client.read(APP, ZERO_TIME, **ever) == in_order
        assert await client.read(APP, ZERO_TIME, descending="true", **ever) == in_order[::-1]
    assert await cache.grpc.read(APP, ZERO_TIME, **ever) == in_order


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"limit": 2}, [1, 2]),
        ({"limit": 2, "descending": "true"}, [5, 4]),
        ({"end_time": 3}, [1, 2]),
        ({"envelope_types": ["ANY"]}, [1, 2, 3, 4, 5]),
        ({"envelope_types": ["ANY", "LOG"]}, [1]),
        ({"envelope_types": ["COUNTER", "GAUGE"]}, [2, 3]),
        ({"envelope_types": ["TIMER"]}, [4]),
        ({"envelope_types": ["EVENT"]}, [5]),
        ({"name_filter": "cpu|http"}, [3, 4]),
        ({"name_filter": "^requests$", "envelope_types": ["COUNTER"]}, [2]),
    ],
)
async def test_every_option_of_a_read_means_the_same_over_http_and_grpc(
    cache: LogCache, options: dict[str, Any], found: list[int]
) -> None:
    await cache.put(
        log("x", 1),
        counter("requests", 2),
        Envelope(source_id=APP, timestamp=3, gauge={"metrics": {"cpu": {"value": 1}, "disk": {"value": 2}}}),
        Envelope(source_id=APP, timestamp=4, timer={"name": "http"}),
        Envelope(source_id=APP, timestamp=5, event={"title": "cpu"}),
    )

    async with cache.library() as client:
        over_http = await client.read(APP, 0, **options)

    assert [envelope.timestamp for envelope in over_http] == found
    assert await cache.grpc.read(APP, 0, **options) == over_http
    if "name_filter" in options and 3 in found:
        assert set(over_http[0].gauge.metrics) == {"cpu"}


@pytest.mark.parametrize("source_id", ["p-mysql", "a/b c", "a?b#c", "50%2F", "ä;,&=+$@:", "(x)*'!", "a//b", "../meta"])
async def test_a_source_id_of_any_form_reaches_its_source(cache: LogCache, source_id: str) -> None:
    await cache.put(log("x", 1, source_id))

    async with cache.library() as client:
        assert texts(await client.read(source_id, 0)) == ["x"]
    assert not set(escaped(source_id)) & set(" ?#\"()*'!")


async def test_metadata_is_the_same_in_both_of_its_json_forms_and_over_grpc(cache: LogCache) -> None:
    await cache.put(log("1", -7), log("2", 9), log("3", 0, "platform"))
    expected = {
        APP: pb.MetaInfo(count=2, oldest_timestamp=-7, newest_timestamp=9),
        "platform": pb.MetaInfo(count=1),
    }

    async with cache.library() as client:
        assert await client.meta() == expected
    assert await cache.grpc.meta() == expected


async def test_at_an_open_door_metadata_has_the_form_of_the_gateway(certs_dir: Path, tmp_path: Path) -> None:
    async with open_log_cache(certs_dir, tmp_path, auth={"mode": "open"}) as cache:
        await cache.put(log("1", 1))
        async with cache.http() as http:
            del http.headers["authorization"]
            answer = await http.get("/api/v1/meta")

    expected = {"count": "1", "expired": "0", "oldest_timestamp": "1", "newest_timestamp": "1"}
    assert answer.json() == {"meta": {APP: expected}}


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"limit": 1001}, 500),
        ({"limit": -1}, 500),
        ({"end_time": -1}, 500),
        ({"name_filter": "("}, 500),
        ({"limit": "x"}, 400),
    ],
)
async def test_a_bad_read_has_the_status_of_the_original(cache: LogCache, options: dict[str, Any], status: int) -> None:
    async with cache.library() as client:
        with pytest.raises(UnexpectedStatus) as refused:
            await client.read(APP, 0, **options)

    assert refused.value.status == status


async def test_what_the_original_does_not_serve_is_not_served(cache: LogCache) -> None:
    for method in ("Orchestration/ListRanges", "ShardGroupReader/Read", "Egress/Nothing"):
        call = cache.channel.unary_unary(f"/logcache.v1.{method}")
        with pytest.raises(grpc.RpcError) as refused:
            await trio.to_thread.run_sync(partial(call, b"", timeout=20))
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "query",
    [
        f'http_requests{{source_id="{APP}"}}',
        f'http_requests{{source_id="{APP}"}}[20s]',
        f'http_requests{{source_id=~"{APP}|other"}} > bool 7',
        f'http_requests{{source_id="{APP}"}} / 0',
        'nothing{source_id="nobody"}',
        f'scalar(http_requests{{source_id="{APP}"}})',
    ],
)
async def test_promql_is_the_same_over_http_and_grpc(cache: LogCache, query: str) -> None:
    now = time.time_ns() // SECOND
    await cache.put(*[counter("http.requests", (now - 60 + 10 * step) * SECOND, 5 * step) for step in range(7)])
    at = {"time": f"{now}.250"}
    steps = {"start": str(now - 60), "end": f"{now}.000", "step": "30s"}

    async with cache.library() as client:
        assert str(await client.promql(query, **at)) == str(await cache.grpc.promql(query, **at))  # NaN equals nothing
        if not query.endswith("]"):
            over_http, over_grpc = [await each.promql_range(query, **steps) for each in (client, cache.grpc)]
            assert str(over_http) == str(over_grpc)


async def test_promql_says_what_the_original_would(cache: LogCache) -> None:
    """Totals of counters, names with underscores, times of the question, no `__name__`."""
    await cache.put(counter("http.requests", 1_700_000_000 * SECOND, 30))
    query = f'http_requests{{source_id="{APP}"}}'

    async with cache.library() as client:
        [sample] = (await client.promql(query, time="1700000001.500")).vector.samples
        [series] = (await client.promql(query + "[10s]", time="1700000001.500")).matrix.series
        scalar = (await client.promql("1.5 + 2", time="2023-11-14T22:13:20Z")).scalar

    assert (dict(sample.metric), sample.point.value, sample.point.time) == ({"source_id": APP}, 30.0, "1700000001.500")
    assert [(point.time, point.value) for point in series.points] == [("1700000000.000", 30.0)]
    assert (scalar.time, scalar.value) == ("1700000000.000", 3.5)


async def test_labels_are_tags_and_who_sent_it_and_nothing_else(cache: LogCache) -> None:
    """Deprecated tags are no labels, and what an envelope says of itself stands before its tags."""
    sent = Envelope(
        source_id=APP,
        instance_id="7",
        timestamp=1_700_000_000_900_000_000,
        gauge={"metrics": {"1st.cpu-%": {"value": 0.5}}},
        tags={"az": "z1", "instance_id": "lies", "source_id": "lies"},
        deprecated_tags={"old": Value(text="x")},
    )
    await cache.put(sent, log("no number", 1_700_000_000 * SECOND))
    query = f'_st_cpu__{{source_id=~"nobody|{APP}",instance_id="7"}}'

    async with cache.library() as client:
        [sample] = (await client.promql(query, time="1700000000.950")).vector.samples
        assert not (await client.promql(query, time="1700000000.850")).vector.samples
        assert not (await client.promql(query, time="1700000301.000")).vector.samples

    assert dict(sample.metric) == {"source_id": APP, "instance_id": "7", "az": "z1"}
    assert sample.point.value == 0.5


async def test_a_token_that_opens_nothing_is_not_found(cache: LogCache) -> None:
    await cache.put(log("x", 1))
    async with cache.library("nonsense") as client:
        query = f'c{{source_id="{APP}"}}'
        for ask in (client.meta, partial(client.read, APP, 0), partial(client.promql, query)):
            with pytest.raises(UnexpectedStatus, match="unexpected status code 404"):
                await ask()
