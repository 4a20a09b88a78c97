"""A doppler as original v1 agents and traffic controllers see it: plain gRPC clients (reference 1.8, 2.3, 2.6)."""

import queue
from pathlib import Path

import grpc
import pytest
import trio

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.pb import plumbing_pb2 as plumbing
from plumbing.lifecycle import Ports
from tests.running import accounts, dial, in_thread, send_over
from tests.running_proxy import open_stream
from tests.v1_streams import APP, batch_subscribe, counter, log, odd_http, push, pusher, read, texts


async def test_what_is_pushed_reaches_a_v1_subscriber_as_the_very_bytes_and_is_answered(channel: grpc.Channel) -> None:
    """Trap of section 9: Go takes an enum's 0 for a method and a peer type, Python's enums are closed."""
    stream = await in_thread(batch_subscribe, channel)
    sent = [log(b"1").SerializeToString() + b"\xfa\x7f\x01x", counter("c").SerializeToString(), odd_http()]

    answer = await in_thread(push, channel, sent)

    assert answer == plumbing.PushResponse()
    assert await in_thread(read, stream, 3) == sent
    stream.cancel()


async def test_the_five_streams_of_an_agents_pool_arrive_whole(doppler: Ports, certs_dir: Path) -> None:
    channels = [dial(doppler["listen"], certs_dir, "doppler", ("grpc.use_local_subchannel_pool", 1)) for _ in range(5)]
    stream = await in_thread(batch_subscribe, channels[0])

    async with trio.open_nursery() as nursery:
        for number, each in enumerate(channels):
            envelopes = [log(b"%d-%d" % (number, at)) for at in range(200)]
            nursery.start_soon(in_thread, push, each, envelopes)

    received = texts(await in_thread(read, stream, 1000))
    for number in range(5):
        own = [text for text in received if text.startswith(b"%d-" % number)]
        assert own == [b"%d-%d" % (number, at) for at in range(200)]
    stream.cancel()
    for each in channels:
        each.close()


async def test_an_agent_that_only_writes_is_heard_at_once(channel: grpc.Channel) -> None:
    stream = await in_thread(batch_subscribe, channel)
    waiting: queue.SimpleQueue[plumbing.EnvelopeData | None] = queue.SimpleQueue()
    call = pusher(channel).future(iter(waiting.get, None))

    waiting.put(plumbing.EnvelopeData(payload=log(b"now").SerializeToString()))

    assert texts(await in_thread(read, stream, 1)) == [b"now"]
    waiting.put(None)
    await in_thread(call.result)
    stream.cancel()


async def test_what_does_not_decode_is_counted_and_the_stream_goes_on(
    channel: grpc.Channel, doppler: Ports, certs_dir: Path
) -> None:
    stream = await in_thread(batch_subscribe, channel)
    raw = channel.stream_unary("/plumbing.DopplerIngestor/Pusher")
    good = plumbing.EnvelopeData(payload=log(b"good").SerializeToString()).SerializeToString()

    await in_thread(raw, iter([good, b"\xff\xff", b"\x0a\x02\xff\xff", b"", good]))

    assert texts(await in_thread(read, stream, 2)) == [b"good", b"good"]
    ingress = (await accounts(doppler, certs_dir))["ingress"]
    assert (ingress["received"], ingress["delivered"], ingress["dropped"]["malformed"]) == (5, 2, 3)
    stream.cancel()


async def test_v1_envelopes_reach_a_v2_subscriber_converted(channel: grpc.Channel) -> None:
    stream = await in_thread(open_stream, channel)

    await in_thread(push, channel, [log(b"hello")])

    (envelope,) = (await in_thread(next, stream)).batch
    assert (envelope.source_id, envelope.log.payload, envelope.timestamp) == (APP, b"hello", 7)
    assert (envelope.tags["origin"], envelope.tags["__v1_type"], envelope.tags["source_type"]) == (
        "rep",
        "LogMessage",
        "APP",
    )
    stream.cancel()


async def test_v2_envelopes_reach_v1_subscribers_in_as_many_forms_as_they_have(channel: grpc.Channel) -> None:
    """Trap of 2.6: a timer without a valid request_id vanishes. An event has no form either, a gauge one per metric."""
    stream = await in_thread(batch_subscribe, channel)
    metrics = {"a": v2.GaugeValue(value=1), "b": v2.GaugeValue(value=2)}

    await send_over(
        channel,
        v2.Envelope(event={"title": "no v1 form"}),
        v2.Envelope(timer={"name": "no request id"}),
        v2.Envelope(gauge={"metrics": metrics}),
        v2.Envelope(source_id="app", instance_id="2", log={"payload": b"text"}),
    )

    envelopes = [v1.Envelope.FromString(payload) for payload in await in_thread(read, stream, 3)]
    assert {envelope.valueMetric.name for envelope in envelopes[:2]} == {"a", "b"}
    assert (envelopes[2].logMessage.app_id, envelopes[2].logMessage.source_instance) == ("app", "2")
    stream.cancel()


@pytest.mark.parametrize("method", ["ContainerMetrics", "RecentLogs"])
async def test_what_a_doppler_no_longer_keeps_is_answered_clearly(channel: grpc.Channel, method: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        await in_thread(channel.unary_unary(f"/plumbing.Doppler/{method}"), b"\x0a\x01a")

    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "ask the log cache" in str(error.value.details())


async def test_a_request_that_is_none_is_refused_with_its_reason(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as error:
        await in_thread(next, channel.unary_stream("/plumbing.Doppler/BatchSubscribe")(b"\x0a\xff"))

    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "not a SubscriptionRequest" in str(error.value.details())


async def test_the_limit_on_subscriptions_counts_both_wires(channel: grpc.Channel) -> None:
    streams = [await in_thread(batch_subscribe, channel) for _ in range(2)] + [await in_thread(open_stream, channel)]

    for subscribe in (batch_subscribe, open_stream):
        with pytest.raises(grpc.RpcError) as error:
            await in_thread(next, subscribe(channel))
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    for stream in streams:
        stream.cancel()


async def test_an_envelope_over_10_mib_is_refused_and_nobody_else_is_harmed(channel: grpc.Channel) -> None:
    stream = await in_thread(batch_subscribe, channel)

    with pytest.raises(grpc.RpcError) as error:
        await in_thread(push, channel, [log(b"x" * (10 << 20))])
    await in_thread(push, channel, [log(b"x" * (9 << 20)), log(b"after")])

    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in str(error.value.details())
    stream.cancel()
