"""The original's programs that send, each at one component of ours in the place of theirs (loggregator.md 1, 2)."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import pytest

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.pb import plumbing_pb2 as plumbing
from plumbing.lifecycle import Ports
from tests.fakes.original_program import Sending
from tests.fakes.original_readers import reverse_log_proxy
from tests.fakes.original_senders import AgentPool, IngressClient, MetricEmitter
from tests.running import accounts, dial, eventually, in_thread, metric, metric_is, running

SELECTORS = [v2.Selector(**{kind: {}}) for kind in ("log", "counter", "gauge", "timer", "event")]
BATCH_SENDER = "/loggregator.v2.Ingress/BatchSender"
PUSHER = "/plumbing.DopplerIngestor/Pusher"


@asynccontextmanager
async def agent(certs: Path) -> AsyncIterator[tuple[Ports, Ports]]:
    """Run an agent of ours and the doppler behind it."""
    async with running("doppler", certs, drain_grace_s=0.3) as doppler:
        settings = {"doppler_addresses": [doppler["listen"]], "tags": {"job": "cell"}, "drain_grace_s": 1.0}
        async with running("metron", certs, **settings) as metron:
            yield metron, doppler


@contextmanager
def reading(address: str, certs: Path, **request: Any) -> Iterator[Iterator[v2.Envelope]]:
    """Read a doppler's v2 envelopes; nothing that is sent after this is missed."""
    asked = v2.EgressBatchRequest(**{"selectors": SELECTORS, "use_preferred_tags": True, **request})
    with reverse_log_proxy([address], certs) as proxy:
        (stream,) = proxy.open(asked)
        stream.initial_metadata()
        yield (envelope for batch in stream for envelope in batch.batch)


async def take(envelopes: Iterator[Any], count: int) -> list[Any]:
    return await in_thread(lambda: list(islice(envelopes, count)))


def batch(*payloads: bytes) -> v2.EnvelopeBatch:
    return v2.EnvelopeBatch(batch=[v2.Envelope(source_id="app", log={"payload": payload}) for payload in payloads])


def pushed(payload: bytes) -> plumbing.EnvelopeData:
    message = {"message": payload, "message_type": v1.LogMessage.OUT, "timestamp": 7, "app_id": "app"}
    envelope = v1.Envelope(origin="rep", eventType=v1.Envelope.LogMessage, timestamp=7, logMessage=message)
    return plumbing.EnvelopeData(payload=envelope.SerializeToString())


# --- go-loggregator's IngressClient, at an agent ----------------------------------------------------------------------


async def test_what_an_application_emits_arrives_as_it_meant_it(certs_dir: Path) -> None:
    async with agent(certs_dir) as (metron, doppler):
        with reading(doppler["listen"], certs_dir) as envelopes:
            with IngressClient(metron["listen"], certs_dir, deployment="cf") as client:
                client.emit_log(b"to stderr")
                client.emit_log(b"to stdout", stdout=True, app=("guid", "APP/PROC/WEB", "3"))
                client.emit_counter("requests")
                client.emit_counter("requests", delta=4)
                client.emit_counter("bytes", total=10)
                client.emit_gauge(cpu=0.5, memory=6)
                client.emit_timer("http", 1, 2)

                assert await in_thread(client.close_send) == v2.BatchSenderResponse()
                got = await take(envelopes, 7)

    err, out, first, second, total, gauge, timer = got
    assert (err.log.payload, err.log.type, out.log.type) == (b"to stderr", v2.Log.ERR, v2.Log.OUT)
    assert (out.source_id, out.instance_id, out.tags["source_type"]) == ("guid", "3", "APP/PROC/WEB")
    counters = [(each.counter.delta, each.counter.total) for each in (first, second, total)]
    assert counters == [(1, 1), (4, 5), (0, 10)]
    assert {name: value.value for name, value in gauge.gauge.metrics.items()} == {"cpu": 0.5, "memory": 6}
    assert (timer.timer.start, timer.timer.stop) == (1, 2)
    assert {(each.tags["deployment"], each.tags["job"], each.timestamp) for each in got} == {("cf", "cell", 7)}


async def test_an_event_is_sent_by_a_call_of_its_own_and_answered(certs_dir: Path) -> None:
    async with agent(certs_dir) as (metron, doppler):
        with reading(doppler["listen"], certs_dir) as envelopes:
            with IngressClient(metron["listen"], certs_dir) as client:
                assert await in_thread(client.emit_event, "deployed", "now") == v2.SendResponse()

                (event,) = await take(envelopes, 1)

    assert (event.event.title, event.event.body) == ("deployed", "now")


async def test_a_full_batch_leaves_by_itself_and_the_stream_stays_open_unanswered(certs_dir: Path) -> None:
    async with agent(certs_dir) as (metron, doppler):
        with reading(doppler["listen"], certs_dir) as envelopes, dial(metron["listen"], certs_dir, "metron") as channel:
            sending = Sending(channel, BATCH_SENDER)
            sending.send(batch(*[b"x"] * 100))

            assert len(await take(envelopes, 100)) == 100
            assert not sending.is_answered

            assert await in_thread(sending.close_and_receive) == v2.BatchSenderResponse()


async def test_an_application_goes_on_when_its_agent_comes_back(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.3) as doppler:
        settings: dict[str, Any] = {"doppler_addresses": [doppler["listen"]], "drain_grace_s": 1.0}
        with reading(doppler["listen"], certs_dir) as envelopes:
            async with running("metron", certs_dir, **settings) as first:
                address = first["listen"]
                client = IngressClient(address, certs_dir)
                client.emit_log(b"before")
                client.flush()
                assert [each.log.payload for each in await take(envelopes, 1)] == [b"before"]
            async with running("metron", certs_dir, listen=address, **settings) as second:

                async def is_heard() -> bool:
                    client.emit_log(b"after")
                    client.flush()
                    return bool((await accounts(second, certs_dir))["agent"]["received"])

                with client:
                    await eventually(is_heard)
                    assert [each.log.payload for each in await take(envelopes, 1)] == [b"after"]


async def test_a_message_over_the_agents_limit_is_refused_and_the_next_stream_works(certs_dir: Path) -> None:
    async with agent(certs_dir) as (metron, doppler):
        with reading(doppler["listen"], certs_dir) as envelopes, dial(metron["listen"], certs_dir, "metron") as channel:
            for path in (BATCH_SENDER, "/loggregator.v2.Ingress/Sender"):
                sending = Sending(channel, path)
                sending.send(batch(b"x" * (10 << 20)) if path == BATCH_SENDER else batch(b"x" * (10 << 20)).batch[0])
                with pytest.raises(grpc.RpcError) as refusal:
                    await in_thread(sending.close_and_receive)
                assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            with IngressClient(metron["listen"], certs_dir) as client:
                client.emit_log(b"next")
                await in_thread(client.close_send)

                assert [each.log.payload for each in await take(envelopes, 1)] == [b"next"]


# --- the self-metrics of routers, proxies and traffic controllers, at an agent ---------------------------------------


async def test_a_metric_on_a_stream_of_its_own_arrives_with_the_total_that_the_agent_keeps(certs_dir: Path) -> None:
    """Section 9: self-metrics come with deprecated_tags, one to a `Sender` stream."""
    async with agent(certs_dir) as (metron, doppler):
        with reading(doppler["listen"], certs_dir) as envelopes:
            with MetricEmitter(metron["listen"], certs_dir, "doppler", "loggregator.doppler") as emitter:
                for delta in (5, 7):
                    emitter.pulse("ingress", delta)
                    emitter.pulse("dropped", 1, direction="egress")
                emitter.gauge("subscriptions", 1.006)
                got = await take(envelopes, 5)
                await metric_is(metron, certs_dir, "metron_ingress_streams", 3)
                assert await in_thread(emitter.event, "started", "now") == v2.IngressResponse()
                (event,) = await take(envelopes, 1)

    totals = {(each.counter.name, each.counter.delta, each.counter.total) for each in got if each.HasField("counter")}
    assert totals == {("ingress", 5, 5), ("ingress", 7, 12), ("dropped", 1, 1), ("dropped", 1, 2)}
    assert {each.gauge.metrics["subscriptions"].value for each in got if each.HasField("gauge")} == {1.01}
    assert {(each.source_id, each.tags["origin"]) for each in [*got, event]} == {("doppler", "loggregator.doppler")}
    assert {each.tags["direction"] for each in got if each.counter.name == "dropped"} == {"egress"}
    assert not any(each.deprecated_tags for each in got)


# --- an agent's pools, at a doppler -----------------------------------------------------------------------------------


POOLS = [pytest.param(BATCH_SENDER, lambda text: batch(text), id="v2"), pytest.param(PUSHER, pushed, id="v1")]


@pytest.mark.parametrize(("path", "message"), POOLS)
async def test_what_an_agents_five_connections_write_arrives_and_none_is_answered(
    certs_dir: Path, path: str, message: Callable[[bytes], Any]
) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.3) as doppler:
        with reading(doppler["listen"], certs_dir) as envelopes, AgentPool(doppler["listen"], certs_dir, path) as pool:
            pool.connect()
            assert all(pool.write(message(b"%d" % number)) for number in range(200))

            got = await take(envelopes, 200)

            assert await metric(doppler, certs_dir, "doppler_ingress_streams") == 5
            assert pool.dials == 5
    assert Counter(each.log.payload for each in got) == Counter(b"%d" % number for number in range(200))


@pytest.mark.parametrize(("path", "message"), POOLS)
async def test_connections_that_are_recycled_lose_nothing(
    certs_dir: Path, path: str, message: Callable[[bytes], Any]
) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.3) as doppler:
        with (
            reading(doppler["listen"], certs_dir) as envelopes,
            AgentPool(doppler["listen"], certs_dir, path, recycle_after=10) as pool,
        ):
            for number in range(60):
                pool.connect()
                assert await in_thread(pool.write, message(b"%d" % number))

            assert len(await take(envelopes, 60)) == 60
            assert pool.dials > 5
            assert await metric(doppler, certs_dir, "doppler_ingress_streams_broken_total") == 0


@pytest.mark.parametrize(("path", "message"), POOLS)
async def test_a_pool_comes_back_to_a_doppler_that_comes_back(
    certs_dir: Path, path: str, message: Callable[[bytes], Any]
) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.3) as first:
        address = first["listen"]
        pool = AgentPool(address, certs_dir, path)
        pool.connect()
        await metric_is(first, certs_dir, "doppler_ingress_streams", 5)
    async with running("doppler", certs_dir, listen=address, drain_grace_s=0.3) as second:
        with reading(address, certs_dir) as envelopes, pool:

            async def is_heard() -> bool:
                pool.connect()
                pool.write(message(b"again"))
                return bool((await accounts(second, certs_dir))["ingress"]["received"])

            await eventually(is_heard)
            assert [each.log.payload for each in await take(envelopes, 1)] == [b"again"]
