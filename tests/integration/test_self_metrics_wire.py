"""What a doppler says of itself arrives in everyone's stream, and other components' metrics through an agent."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import trio

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.pb import plumbing_pb2 as plumbing
from plumbing.agent_link import emit_through_agent, open_outbox
from plumbing.island import open_island
from plumbing.self_metrics import SelfMetrics
from plumbing.tls import TlsFiles
from tests.running import accounts, dial, in_thread, running

SELECTORS = [v2.Selector(counter={}), v2.Selector(gauge={}), v2.Selector(event={})]


def subscribe(channel: grpc.Channel, *, preferred: bool = True) -> Any:
    stream = channel.unary_stream(
        "/loggregator.v2.Egress/BatchedReceiver",
        request_serializer=v2.EgressBatchRequest.SerializeToString,
        response_deserializer=v2.EnvelopeBatch.FromString,
    )(v2.EgressBatchRequest(selectors=SELECTORS, use_preferred_tags=preferred))
    stream.initial_metadata()
    return stream


def read(stream: Any, count: int) -> list[v2.Envelope]:
    envelopes: list[v2.Envelope] = []
    while len(envelopes) < count:
        envelopes += next(stream).batch
    return envelopes


async def test_a_subscriber_is_told_how_its_doppler_does(certs_dir: Path) -> None:
    settings: dict[str, Any] = {"metric_source_id": "router-1", "tags": {"index": "1"}}
    async with running("doppler", certs_dir, self_metrics_interval_s=0.05, **settings) as ports:
        with dial(ports["listen"], certs_dir, "doppler") as channel:
            stream = await in_thread(subscribe, channel)

            envelopes = await in_thread(read, stream, 10)

            books = await accounts(ports, certs_dir)
            stream.cancel()
    assert {envelope.source_id for envelope in envelopes} == {"router-1"}
    assert {envelope.tags["origin"] for envelope in envelopes} == {"loggregator.doppler"}
    assert {(envelope.tags["metric_version"], envelope.tags["index"]) for envelope in envelopes} == {("2.0", "1")}
    assert [envelope.counter.name for envelope in envelopes[:4]] == ["ingress", "egress", "dropped", "dropped"]
    assert envelopes[4].gauge.metrics["subscriptions"].value == 1
    egress = [envelope.counter for envelope in envelopes if envelope.counter.name == "egress"]
    assert egress[1].total == egress[0].total + egress[1].delta
    assert books["self-metrics"]["kind"] == "self"
    assert books["self-metrics"]["delivered"] >= 10
    assert books["ingress"]["received"] == books["ingress"]["delivered"] == 0


async def test_old_readers_find_the_tags_where_they_look_for_them(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, self_metrics_interval_s=0.05) as ports:
        with dial(ports["listen"], certs_dir, "doppler") as channel:
            stream = await in_thread(partial(subscribe, channel, preferred=False))

            (first, *_) = await in_thread(read, stream, 1)

            assert first.deprecated_tags["origin"].text == "loggregator.doppler"
            assert not first.tags
            stream.cancel()


async def test_a_v1_subscriber_is_told_in_counter_events(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, self_metrics_interval_s=0.05) as ports:
        with dial(ports["listen"], certs_dir, "doppler") as channel:
            stream = channel.unary_stream(
                "/plumbing.Doppler/BatchSubscribe",
                request_serializer=plumbing.SubscriptionRequest.SerializeToString,
                response_deserializer=plumbing.BatchResponse.FromString,
            )(plumbing.SubscriptionRequest(filter={"metric": {}}))
            response = await in_thread(next, stream)

            envelopes = [v1.Envelope.FromString(payload) for payload in response.payload]
            stream.cancel()
    names = [envelope.counterEvent.name or envelope.valueMetric.name for envelope in envelopes[:5]]
    assert names == ["ingress", "egress", "dropped", "dropped", "subscriptions"]
    assert [envelope.tags["direction"] for envelope in envelopes[2:4]] == ["ingress", "egress"]
    assert {envelope.origin for envelope in envelopes} == {"loggregator.doppler"}


async def test_metrics_and_events_of_another_component_arrive_through_an_agent(certs_dir: Path) -> None:
    metrics = SelfMetrics("loggregator.rlp", "reverse_log_proxy", {"job": "rlp"})
    metrics.counter("egress", lambda: 5)
    tls = TlsFiles.named(certs_dir, "reverselogproxy")
    outbox = open_outbox()
    async with running("doppler", certs_dir) as doppler:
        async with running("metron", certs_dir, doppler_addresses=[doppler["listen"]]) as metron:
            with dial(doppler["listen"], certs_dir, "doppler") as channel:
                stream = await in_thread(subscribe, channel)
                async with open_island() as island, trio.open_nursery() as nursery:
                    emit = partial(emit_through_agent, outbox=outbox)
                    nursery.start_soon(
                        island.run, emit, metron["listen"], tls, lambda: metrics.batch(time.time_ns()), 0.05
                    )
                    island.post(outbox.put, metrics.event("started", "now", time.time_ns()))

                    envelopes = await in_thread(read, stream, 3)

                    nursery.cancel_scope.cancel()
                stream.cancel()
    assert [envelope.event.title for envelope in envelopes][:1] == ["started"]
    assert [(envelope.counter.delta, envelope.counter.total) for envelope in envelopes[1:3]] == [(5, 5), (0, 5)]
    assert {(envelope.source_id, envelope.tags["job"]) for envelope in envelopes} == {("reverse_log_proxy", "rlp")}
