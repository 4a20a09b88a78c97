"""A node of a log cache as clients of the original's gRPC see it (loggregator.md 2.7, 4.1, 4.4)."""

import time
from pathlib import Path

import grpc
import trio

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from tests.log_cache_node import SECOND, logs, node
from tests.running import get


async def test_what_is_sent_is_read_at_once(certs_dir: Path) -> None:
    async with node(certs_dir) as client:
        await client.send(logs("app", [3, 1, 2]))

        assert await client.times() == [1, 2, 3]
        assert await client.times(limit=1, descending=True) == [3]
        assert await client.times(start_time=-6795364578871345152, end_time=3) == [1, 2]


async def test_a_bad_read_is_a_plain_error_in_the_words_of_the_original(certs_dir: Path) -> None:
    async with node(certs_dir) as client:
        assert await client.refusal("Egress/Read", pb.ReadRequest(limit=1001)) == (
            grpc.StatusCode.UNKNOWN,
            "limit (1001) must be 1000 or less",
        )
        assert await client.refusal("Egress/Read", pb.ReadRequest(start_time=2, end_time=1)) == (
            grpc.StatusCode.UNKNOWN,
            "StartTime (2) must be before EndTime (1)",
        )


async def test_a_follower_pages_on_in_order_of_arrival(certs_dir: Path) -> None:
    async with node(certs_dir) as client:
        await client.send(logs("app", [3, 1, 2]))
        assert await client.times(metadata={"standpipe_cursor": ""}, limit=2) == [3, 1]
        assert client.trailing["standpipe-rest"] == "1"
        cursor = client.trailing["standpipe-cursor"]
        await client.send(logs("app", [1]))

        assert await client.times(metadata={"standpipe_cursor": cursor}) == [2, 1]
        assert client.trailing["standpipe-missed"] == "0"
        assert "standpipe-rest" not in client.trailing


async def test_a_follower_that_waits_is_woken(certs_dir: Path) -> None:
    async with node(certs_dir) as client:
        found: list[list[int]] = []

        async def follow() -> None:
            found.append(await client.times(metadata={"standpipe_cursor": "", "standpipe_wait": "30"}))

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(follow)
                while "log_cache_followers 1.0" not in await get(client.ports, certs_dir, "/metrics"):
                    await trio.sleep(0.01)
                await client.send(logs("app", [5]))

        assert found == [[5]]


async def test_a_client_that_pages_by_time_sees_what_is_late_in_its_place(certs_dir: Path) -> None:
    async with node(certs_dir, settle_s=3600.0) as client:
        now = time.time_ns()
        await client.send(logs("app", [now - 30 * SECOND]))

        assert await client.times(start_time=now - 40 * SECOND) == []
        assert await client.times(start_time=now - 40 * SECOND, descending=True) == [now - 30 * SECOND]
        assert await client.times(start_time=now - 70 * SECOND) == [now - 30 * SECOND]


async def test_a_message_may_have_fifty_mebibytes(certs_dir: Path) -> None:
    async with node(certs_dir, max_per_source=10) as client:
        large = Envelope(source_id="app", timestamp=1, log={"payload": bytes(49 << 20)})
        await client.send([large])

        assert await client.times() == [1]
        larger = pb.SendRequest(envelopes=EnvelopeBatch(batch=[large, Envelope(log={"payload": bytes(1 << 20)})]))
        code, _ = await client.refusal("Ingress/Send", larger)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_meta_says_what_is_held(certs_dir: Path) -> None:
    async with node(certs_dir, max_per_source=2) as client:
        await client.send(logs("app", [3, 1, 2]))
        answer = await client.call("Egress/Meta", pb.MetaRequest())

        assert dict(answer.meta) == {"app": pb.MetaInfo(count=2, expired=1, oldest_timestamp=2, newest_timestamp=3)}


async def test_what_an_autoscaler_asks_is_answered(certs_dir: Path) -> None:
    """loggregator.md 1.16: vectors by instance, at a time with three decimals."""
    async with node(certs_dir) as client:
        now = time.time()
        timers = [
            Envelope(
                source_id="app",
                instance_id=str(number % 2),
                timestamp=int((now - 10 - 2 * number) * SECOND),
                timer={"name": "http", "start": 0, "stop": (number + 1) * 1_000_000},
            )
            for number in range(4)
        ]
        await client.send(timers)
        slowest = "avg by (instance_id) (max_over_time(http{source_id='app'}[60s])) / (1000 * 1000)"
        request = pb.PromQL.InstantQueryRequest(query=slowest, time=f"{now:.3f}")
        answer = await client.call("PromQLQuerier/InstantQuery", request)

        assert {sample.metric["instance_id"]: sample.point.value for sample in answer.vector.samples} == {
            "0": 3.0,
            "1": 4.0,
        }
        assert {sample.point.time for sample in answer.vector.samples} == {f"{now:.3f}"}


async def test_a_query_without_a_source_is_a_plain_error(certs_dir: Path) -> None:
    async with node(certs_dir) as client:
        request = pb.PromQL.RangeQueryRequest(query="cpu", start="1", end="2", step="1")

        assert await client.refusal("PromQLQuerier/RangeQuery", request) == (
            grpc.StatusCode.UNKNOWN,
            "metric 'cpu' does not have a 'source_id' label",
        )
