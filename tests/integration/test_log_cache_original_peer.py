"""A node of the original in our cluster: it knows none of our metadata, and its sources are read by time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope
from tests.fakes.original_log_cache import OriginalLogCache, original_log_cache
from tests.log_cache_node import logs, payloads
from tests.running import eventually
from tests.running_cache_cluster import Nodes, cluster

SECOND = 1_000_000_000


@asynccontextmanager
async def mixed(certs: Path) -> AsyncIterator[tuple[Nodes, OriginalLogCache]]:
    """A node of ours, the first, and one of the original, the second."""
    with original_log_cache(certs) as original:
        async with cluster(certs, 1, original.address) as nodes:
            yield nodes, original


async def test_it_is_sent_what_is_its_and_told_to_keep_it(certs_dir: Path) -> None:
    async with mixed(certs_dir) as (nodes, original):
        theirs = logs(nodes.source_of(1), [1, 2, 3])
        await nodes[0].send([*logs(nodes.source_of(0), [1]), *theirs])

        async def has_come() -> bool:
            return bool(original.sends)

        await eventually(has_come)
        assert [request.local_only for request in original.sends] == [True]
        assert list(original.sends[0].envelopes.batch) == theirs
        assert (await nodes[0].books())[f"peer {original.address}"]["delivered"] == 3


async def test_its_sources_are_read_by_time(certs_dir: Path) -> None:
    async with mixed(certs_dir) as (nodes, original):
        source = nodes.source_of(1)
        put(original, logs(source, [1, 2, 3, 4]))

        request = {"start_time": 2, "end_time": 9, "limit": 2, "envelope_types": [pb.LOG], "descending": True}
        assert payloads(await nodes[0].read(source, **request)) == ["x3", "x2"]

        assert original.reads == [pb.ReadRequest(source_id=source, **request)]


async def test_its_sources_are_among_the_metadata(certs_dir: Path) -> None:
    async with mixed(certs_dir) as (nodes, original):
        ours, theirs = nodes.source_of(0), nodes.source_of(1)
        await nodes[0].send(logs(ours, [1]))
        put(original, logs(theirs, [1, 2]))

        assert await nodes[0].counts() == Counter({ours: 1, theirs: 2})
        assert await nodes[0].counts(local_only=True) == Counter({ours: 1})
        assert original.metas == [pb.MetaRequest(local_only=True)]


async def test_metadata_that_make_no_sense_are_left_out(certs_dir: Path) -> None:
    async with mixed(certs_dir) as (nodes, original):
        ours = nodes.source_of(0)
        await nodes[0].send(logs(ours, [1]))
        original.garbled = True

        assert await nodes[0].counts() == Counter({ours: 1})


@pytest.mark.parametrize("cursor", ["", "x"])
async def test_a_read_of_its_sources_in_order_of_arrival_is_refused(certs_dir: Path, cursor: str) -> None:
    async with mixed(certs_dir) as (nodes, original):
        source = nodes.source_of(1)
        put(original, logs(source, [1]))

        with pytest.raises(grpc.RpcError) as refused:
            await nodes[0].read(source, {"standpipe_cursor": cursor})

        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        words = f"the node at {original.address} knows no reads in order of arrival"
        assert refused.value.details() == words


async def test_what_it_refuses_is_told_in_its_words(certs_dir: Path) -> None:
    async with mixed(certs_dir) as (nodes, original):
        original.held[nodes.source_of(1)] = {0: object()}  # type: ignore[dict-item]  # it fails

        with pytest.raises(grpc.RpcError) as refused:
            await nodes[0].read(nodes.source_of(1))

        assert refused.value.code() is grpc.StatusCode.UNKNOWN
        assert "Exception calling application" in refused.value.details()


async def test_promql_pages_through_many_samples(certs_dir: Path) -> None:
    async with mixed(certs_dir) as (nodes, original):
        source = nodes.source_of(1)
        put(original, [counter(source, (100 + at) * SECOND // 100, at) for at in range(3000)])

        found = await nodes[0].instant(f'count_over_time(requests{{source_id="{source}"}}[10m])', "60")

        assert found == Counter({(("source_id", source),): 3000.0})
        assert len(original.reads) == 5  # the first to learn what kind of node it is
        assert all(request.limit == 1000 for request in original.reads)


async def test_promql_finds_each_of_many_samples_of_one_moment(certs_dir: Path) -> None:
    """As a scrape has them; pages end among those of one moment."""
    async with mixed(certs_dir) as (nodes, original):
        source = nodes.source_of(1)
        put(original, [counter(source, at * SECOND, at, str(each)) for at in range(100, 150) for each in range(70)])

        found = await nodes[0].instant(f'count_over_time(requests{{source_id="{source}"}}[10m])', "150")

        expected = {(("instance_id", str(each)), ("source_id", source)): 50.0 for each in range(70)}
        assert found == Counter(expected)


def put(original: OriginalLogCache, envelopes: list[Envelope]) -> None:
    """Let another of its clients send it these."""
    message = pb.SendRequest(envelopes={"batch": envelopes}).SerializeToString()
    original.send(message, None)  # type: ignore[arg-type]
    original.sends.clear()


def counter(source: str, time: int, total: int, instance: str = "") -> Envelope:
    return Envelope(
        source_id=source, instance_id=instance, timestamp=time, counter={"name": "requests", "total": total}
    )
