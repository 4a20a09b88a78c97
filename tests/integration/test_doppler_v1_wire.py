"""A doppler as original v1 agents and traffic controllers see it: plain gRPC clients (reference 1.8, 2.3, 2.6)."""

import queue
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.pb import plumbing_pb2 as plumbing
from plumbing.lifecycle import Ports
from tests.running import accounts, dial, eventually, get, running

TYPE = v1.Envelope.EventType
APP = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
APP_UUID = v1.UUID(low=0x7243CC580BC17AF4, high=0x79D4C3B2020E67A5)
ALL_KINDS = [v2.Selector(log={}), v2.Selector(counter={}), v2.Selector(gauge={}), v2.Selector(timer={})]


@pytest.fixture
async def doppler(certs_dir: Path) -> AsyncIterator[Ports]:
    async with running("doppler", certs_dir, drain_grace_s=1.0, max_subscriptions=3) as ports:
        yield ports


@pytest.fixture
def channel(doppler: Ports, certs_dir: Path) -> Iterator[grpc.Channel]:
    with dial(doppler["listen"], certs_dir, "doppler") as channel:
        yield channel


def log(text: bytes, app: str = APP) -> v1.Envelope:
    message = {"message": text, "message_type": v1.LogMessage.OUT, "timestamp": 7, "app_id": app, "source_type": "APP"}
    return v1.Envelope(origin="rep", eventType=TYPE.LogMessage, timestamp=7, logMessage=message, job="cell")


def counter(name: str) -> v1.Envelope:
    return v1.Envelope(origin="rep", eventType=TYPE.CounterEvent, timestamp=7, counterEvent={"name": name, "delta": 1})


def odd_http() -> bytes:
    """An event of a method and a peer type that nobody knows, as Go sends it."""
    http = {"startTimestamp": 1, "stopTimestamp": 2, "requestId": APP_UUID, "applicationId": APP_UUID, "uri": "/"}
    envelope = v1.Envelope(
        origin="gorouter",
        eventType=TYPE.HttpStartStop,
        httpStartStop={**http, "remoteAddress": "", "userAgent": "", "statusCode": 200, "contentLength": 3},
    )
    envelope.httpStartStop.MergeFromString(b"\x20\x00\x28\x00")
    return envelope.SerializePartialToString()


def pusher(channel: grpc.Channel) -> Any:
    return channel.stream_unary(
        "/plumbing.DopplerIngestor/Pusher",
        request_serializer=plumbing.EnvelopeData.SerializeToString,
        response_deserializer=plumbing.PushResponse.FromString,
    )


def push(channel: grpc.Channel, envelopes: Iterable[v1.Envelope | bytes]) -> plumbing.PushResponse:
    """Send envelopes over one stream, as each of an original agent's does, and end it."""
    payloads = (each if isinstance(each, bytes) else each.SerializeToString() for each in envelopes)
    answer: plumbing.PushResponse = pusher(channel)(plumbing.EnvelopeData(payload=payload) for payload in payloads)
    return answer


def batch_subscribe(channel: grpc.Channel, **request: Any) -> Any:
    """Open a stream as an original traffic controller does for each of its clients; wait until the doppler has it."""
    stream = channel.unary_stream(
        "/plumbing.Doppler/BatchSubscribe",
        request_serializer=plumbing.SubscriptionRequest.SerializeToString,
        response_deserializer=plumbing.BatchResponse.FromString,
    )(plumbing.SubscriptionRequest(**request))
    stream.initial_metadata()
    return stream


def subscribe_v2(channel: grpc.Channel) -> Any:
    stream = channel.unary_stream(
        "/loggregator.v2.Egress/BatchedReceiver",
        request_serializer=v2.EgressBatchRequest.SerializeToString,
        response_deserializer=v2.EnvelopeBatch.FromString,
    )(v2.EgressBatchRequest(selectors=ALL_KINDS, use_preferred_tags=True))
    stream.initial_metadata()
    return stream


def send_v2(channel: grpc.Channel, *envelopes: v2.Envelope) -> None:
    channel.stream_unary(
        "/loggregator.v2.Ingress/BatchSender",
        request_serializer=v2.EnvelopeBatch.SerializeToString,
        response_deserializer=v2.BatchSenderResponse.FromString,
    )(iter([v2.EnvelopeBatch(batch=envelopes)]))


async def in_thread(function: Any, *args: Any) -> Any:
    with trio.fail_after(20):
        return await trio.to_thread.run_sync(partial(function, *args), abandon_on_cancel=True)


def read(stream: Any, count: int) -> list[bytes]:
    payloads: list[bytes] = []
    while len(payloads) < count:
        payloads += next(stream).payload
    return payloads


def texts(payloads: Iterable[bytes]) -> list[bytes]:
    return [v1.Envelope.FromString(payload).logMessage.message for payload in payloads]


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
    stream = await in_thread(subscribe_v2, channel)

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

    await in_thread(
        send_v2,
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


async def test_filters_by_app_and_type_let_by_what_the_original_lets_by(certs_dir: Path) -> None:
    async with running("doppler", certs_dir) as ports:
        with dial(ports["listen"], certs_dir, "doppler") as channel:
            requests: dict[str, dict[str, Any]] = {
                "all": {},
                "logs": {"filter": {"log": {}}},
                "metrics": {"filter": {"metric": {}}},
                "app": {"filter": {"appID": APP}},
                "app logs": {"filter": {"appID": APP, "log": {}}},
                "app metrics": {"filter": {"appID": APP, "metric": {}}},
                "system": {"filter": {"appID": "system"}},
            }
            streams = {
                name: await in_thread(partial(batch_subscribe, channel, **each)) for name, each in requests.items()
            }
            own, other, c = (each.SerializeToString() for each in (log(b"own"), log(b"other", "x"), counter("c")))
            http = odd_http()

            await in_thread(push, channel, [own, other, c, http])

            expected = {
                "all": [own, other, c, http],
                "logs": [own, other],
                "metrics": [c, http],
                "app": [own, http],
                "app logs": [own],
                "app metrics": [http],
                "system": [c],
            }
            assert {name: await in_thread(read, streams[name], len(expected[name])) for name in streams} == expected
            owed = {name: account["received"] for name, account in (await accounts(ports, certs_dir)).items()}
            assert sum(count for name, count in owed.items() if name.startswith("v1 ")) == sum(
                map(len, expected.values())
            )
            for stream in streams.values():
                stream.cancel()


async def test_two_readers_of_one_shard_share_and_those_without_a_shard_do_not(certs_dir: Path) -> None:
    shares: list[list[bytes]] = []

    async def read_until_the_end(stream: Any) -> None:
        shares.append(await in_thread(lambda: [payload for response in stream for payload in response.payload]))

    async with trio.open_nursery() as nursery, running("doppler", certs_dir) as ports:
        channel = dial(ports["listen"], certs_dir, "doppler")
        sharing = [await in_thread(partial(batch_subscribe, channel, shardID="nozzle")) for _ in range(2)]
        alone = await in_thread(batch_subscribe, channel)
        for stream in sharing:
            nursery.start_soon(read_until_the_end, stream)

        for at in range(40):
            await in_thread(push, channel, [log(b"%d" % at)])

        assert len(await in_thread(read, alone, 40)) == 40
        alone.cancel()

    channel.close()
    assert sorted(int(text) for share in shares for text in texts(share)) == list(range(40))
    assert all(shares)


async def test_subscribe_sends_one_envelope_to_a_message(channel: grpc.Channel) -> None:
    stream = channel.unary_stream(
        "/plumbing.Doppler/Subscribe",
        request_serializer=plumbing.SubscriptionRequest.SerializeToString,
        response_deserializer=plumbing.Response.FromString,
    )(plumbing.SubscriptionRequest(filter={"appID": APP}))
    await in_thread(stream.initial_metadata)

    await in_thread(push, channel, [log(b"1"), log(b"-", "other"), log(b"2")])

    assert texts([(await in_thread(next, stream)).payload for _ in range(2)]) == [b"1", b"2"]
    stream.cancel()


async def test_what_a_subscribe_stream_did_not_deliver_reaches_the_next_reader_as_the_very_bytes(
    channel: grpc.Channel, doppler: Ports, certs_dir: Path
) -> None:
    request = plumbing.SubscriptionRequest(shardID="nozzle").SerializeToString()
    stuck = channel.unary_stream("/plumbing.Doppler/Subscribe")(request)
    await in_thread(stuck.initial_metadata)
    sent = [log(b"%d" % at + b"x" * 20_000).SerializeToString() for at in range(1000)]
    await in_thread(push, channel, sent)
    stuck.cancel()

    async def given_back() -> bool:
        return bool((await accounts(doppler, certs_dir))["v1 nozzle"]["held"])

    await eventually(given_back)
    held = (await accounts(doppler, certs_dir))["v1 nozzle"]["held"]
    next_one = await in_thread(partial(batch_subscribe, channel, shardID="nozzle"))
    assert await in_thread(read, next_one, held) == sent[-held:]
    next_one.cancel()


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
    streams = [await in_thread(batch_subscribe, channel) for _ in range(2)] + [await in_thread(subscribe_v2, channel)]

    for subscribe in (batch_subscribe, subscribe_v2):
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


async def test_a_v1_subscriber_that_was_too_slow_is_told_what_it_lost(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, diode_capacity=1000, drain_grace_s=0.1) as ports:
        with dial(ports["listen"], certs_dir, "doppler") as channel:
            slow = await in_thread(partial(batch_subscribe, channel, shardID="slow"))
            for _ in range(20):
                await in_thread(push, channel, [log(b"x" * 500)] * 1000)

            async def overflowed() -> bool:
                account = (await accounts(ports, certs_dir))["v1 slow"]
                return bool(account["received"] == 20_000 and account["dropped"]["overflow"])

            await eventually(overflowed)
            dropped = (await accounts(ports, certs_dir))["v1 slow"]["dropped"]["overflow"]
            received, told = await in_thread(_read_all_but_told, slow, 20_000)

            assert told == dropped
            assert received + told == 20_000
            slow.cancel()


def _read_all_but_told(stream: Any, expected: int) -> tuple[int, int]:
    """Read until what arrived and what is told to be lost add up to `expected`: (arrived, told)."""
    arrived = told = 0
    while arrived + told < expected:
        for payload in next(stream).payload:
            envelope = v1.Envelope.FromString(payload)
            if envelope.counterEvent.name == "dropped":
                assert (envelope.origin, envelope.eventType) == ("loggregator.doppler", TYPE.CounterEvent)
                assert (envelope.tags["direction"], envelope.tags["subscription"]) == ("egress", "slow")
                told += envelope.counterEvent.delta
                assert envelope.counterEvent.total == told
            else:
                arrived += 1
    return arrived, told


async def test_a_named_subscription_outlives_its_reader(channel: grpc.Channel, doppler: Ports, certs_dir: Path) -> None:
    first = await in_thread(partial(batch_subscribe, channel, shardID="nozzle"))
    first.cancel()

    async def left() -> bool:
        return "doppler_readers 0.0" in await get(doppler, certs_dir, "/metrics")

    await eventually(left)
    await in_thread(push, channel, [log(b"kept")])

    second = await in_thread(partial(batch_subscribe, channel, shardID="nozzle"))
    assert texts(await in_thread(read, second, 1)) == [b"kept"]
    second.cancel()


async def test_a_doppler_that_stops_delivers_what_it_holds_and_ends_every_stream_well(certs_dir: Path) -> None:
    waiting: queue.SimpleQueue[plumbing.EnvelopeData | None] = queue.SimpleQueue()
    async with running("doppler", certs_dir) as ports:
        channel = dial(ports["listen"], certs_dir, "doppler")
        stream = await in_thread(batch_subscribe, channel)
        agent = pusher(channel).future(iter(waiting.get, None))
        for at in range(100):
            waiting.put(plumbing.EnvelopeData(payload=log(b"%d" % at).SerializeToString()))

        async def taken_in() -> bool:
            return bool((await accounts(ports, certs_dir))["ingress"]["delivered"] == 100)

        await eventually(taken_in)

    payloads = await in_thread(lambda: [payload for response in stream for payload in response.payload])
    assert texts(payloads) == [b"%d" % at for at in range(100)]
    assert await in_thread(agent.result) == plumbing.PushResponse()
    waiting.put(None)
    channel.close()
