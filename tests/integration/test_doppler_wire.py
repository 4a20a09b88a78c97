"""A doppler as original agents and subscribers see it: plain gRPC clients, generated messages (reference 1.8, 2)."""

import queue
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio
from pydantic import ValidationError

from doppler import Config
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from tests.running import accounts, dial, eventually, get, in_thread, running
from tests.running_proxy import open_stream


def batch(*payloads: bytes, source: str = "app") -> v2.EnvelopeBatch:
    return v2.EnvelopeBatch(batch=[v2.Envelope(source_id=source, log={"payload": payload}) for payload in payloads])


def batch_sender(channel: grpc.Channel) -> Any:
    return channel.stream_unary(
        "/loggregator.v2.Ingress/BatchSender",
        request_serializer=v2.EnvelopeBatch.SerializeToString,
        response_deserializer=v2.BatchSenderResponse.FromString,
    )


def read(stream: Any, count: int) -> list[bytes]:
    payloads: list[bytes] = []
    while len(payloads) < count:
        payloads += [envelope.log.payload for envelope in next(stream).batch]
    return payloads


async def test_batches_reach_a_subscriber_and_the_sender_gets_its_one_answer(channel: grpc.Channel) -> None:
    stream = await in_thread(open_stream, channel)

    answer = await in_thread(batch_sender(channel), iter([batch(b"1", b"2"), batch(b"3")]))

    assert answer == v2.BatchSenderResponse()
    assert await in_thread(read, stream, 3) == [b"1", b"2", b"3"]
    stream.cancel()


async def test_single_envelopes_reach_a_subscriber(channel: grpc.Channel) -> None:
    stream = await in_thread(open_stream, channel)
    sender = channel.stream_unary(
        "/loggregator.v2.Ingress/Sender",
        request_serializer=v2.Envelope.SerializeToString,
        response_deserializer=v2.IngressResponse.FromString,
    )

    await in_thread(sender, iter(batch(b"1", b"2").batch))

    assert await in_thread(read, stream, 2) == [b"1", b"2"]
    stream.cancel()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/loggregator.v2.Ingress/Send", "this endpoint is not yet implemented"),
        ("/loggregator.v2.Egress/Receiver", "use BatchedReceiver instead"),
    ],
)
async def test_what_a_router_does_not_implement_is_answered_in_its_words(
    channel: grpc.Channel, path: str, text: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        await in_thread(channel.unary_unary(path), b"")

    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert error.value.details() == text


async def test_a_malformed_envelope_is_counted_and_its_neighbours_arrive(
    channel: grpc.Channel, doppler: Ports, certs_dir: Path
) -> None:
    stream = await in_thread(open_stream, channel)
    good = batch(b"good").SerializeToString()
    raw_sender = channel.stream_unary("/loggregator.v2.Ingress/BatchSender")

    await in_thread(raw_sender, iter([good + b"\x0a\x02\x12\xff" + good, b"\xff\xff", good]))

    assert await in_thread(read, stream, 3) == [b"good"] * 3
    ingress = (await accounts(doppler, certs_dir))["ingress"]
    assert (ingress["received"], ingress["delivered"], ingress["dropped"]["malformed"]) == (5, 3, 2)
    stream.cancel()


async def test_a_message_of_50_mib_is_refused_and_nobody_else_is_harmed(
    channel: grpc.Channel, doppler: Ports, certs_dir: Path
) -> None:
    stream = await in_thread(open_stream, channel)
    with pytest.raises(grpc.RpcError) as error:
        await in_thread(batch_sender(channel), iter([batch(b"x" * (50 << 20))]))
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in str(error.value.details())
    assert "doppler_ingress_streams_broken_total 1.0" in await get(doppler, certs_dir, "/metrics")

    await in_thread(batch_sender(channel), iter([batch(b"after")]))

    assert await in_thread(read, stream, 1) == [b"after"]
    stream.cancel()


def of_size(size: int) -> v2.EnvelopeBatch:
    """Make a batch of 100 envelopes that is so many bytes long."""
    payloads = [b"x" * (size // 100 - 40)] * 99
    rest = size - batch(*payloads, b"x" * 100_000).ByteSize()
    sized = batch(*payloads, b"x" * (100_000 + rest))
    assert sized.ByteSize() == size
    return sized


async def test_ten_mib_are_taken_and_one_byte_more_ends_the_stream_alone(
    channel: grpc.Channel, doppler: Ports, certs_dir: Path
) -> None:
    """What a router receives at most (0.1); what came before on the stream has arrived, and the next stream works."""
    stream = await in_thread(open_stream, channel)
    await in_thread(batch_sender(channel), iter([of_size(10 << 20)]))
    assert len(await in_thread(read, stream, 100)) == 100

    before: queue.SimpleQueue[v2.EnvelopeBatch | None] = queue.SimpleQueue()
    sending = batch_sender(channel).future(iter(before.get, None))
    before.put(batch(b"before"))
    assert await in_thread(read, stream, 1) == [b"before"]
    before.put(of_size((10 << 20) + 1))
    with pytest.raises(grpc.RpcError) as error:
        await in_thread(sending.result)
    before.put(None)
    await in_thread(batch_sender(channel), iter([batch(b"after")]))

    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await in_thread(read, stream, 1) == [b"after"]
    ingress = (await accounts(doppler, certs_dir))["ingress"]
    assert (ingress["received"], ingress["dropped"]) == (102, {"malformed": 0})
    stream.cancel()


async def test_a_packed_message_may_not_be_longer_than_another(channel: grpc.Channel) -> None:
    stream = await in_thread(open_stream, channel)
    packed = partial(batch_sender(channel), compression=grpc.Compression.Gzip)

    with pytest.raises(grpc.RpcError) as error:
        await in_thread(packed, iter([batch(b"0" * (50 << 20))]))
    await in_thread(packed, iter([batch(b"short")]))

    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await in_thread(read, stream, 1) == [b"short"]
    stream.cancel()


@pytest.mark.parametrize("size", ["diode_capacity", "diode_bytes"])
def test_a_doppler_has_buffers_though_nobody_says_how_large(size: str) -> None:
    """Trap of 1.8: the original has no default for its buffers, and one of 0 crashes at the first write."""
    assert Config.model_fields[size].default > 0
    with pytest.raises(ValidationError, match=size):
        Config(**{size: 0})


@pytest.mark.parametrize("preferred", [True, False])
async def test_a_large_batch_comes_in_messages_that_every_client_takes(channel: grpc.Channel, preferred: bool) -> None:
    """Clients of gRPC's default take 4 MiB, routers and agents 10: tags in their old form make this one longer."""
    stream = await in_thread(open_stream, channel, use_preferred_tags=preferred)
    envelopes = [v2.Envelope(tags={"n": str(n)}, log={"payload": b"x" * 100}) for n in range(80_000)]
    sent = v2.EnvelopeBatch(batch=envelopes)
    assert sent.ByteSize() > 9_000_000

    await in_thread(batch_sender(channel), iter([sent]))

    assert await in_thread(read, stream, len(envelopes)) == [b"x" * 100] * len(envelopes)
    stream.cancel()


async def test_a_request_that_is_none_is_refused_with_its_reason(channel: grpc.Channel) -> None:
    stream = channel.unary_stream("/loggregator.v2.Egress/BatchedReceiver")(b"\x0a\xff")

    with pytest.raises(grpc.RpcError) as error:
        await in_thread(next, stream)

    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "not an EgressBatchRequest" in str(error.value.details())


async def test_one_subscription_too_many_is_refused(channel: grpc.Channel) -> None:
    streams = [await in_thread(open_stream, channel) for _ in range(3)]

    with pytest.raises(grpc.RpcError) as error:
        await in_thread(next, open_stream(channel))

    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for stream in streams:
        stream.cancel()


async def test_a_certificate_of_another_authority_is_turned_away(
    doppler: Ports, certs_dir: Path, other_certs_dir: Path
) -> None:
    credentials = grpc.ssl_channel_credentials(
        (certs_dir / "ca.crt").read_bytes(),
        private_key=(other_certs_dir / "client.key").read_bytes(),
        certificate_chain=(other_certs_dir / "client.crt").read_bytes(),
    )
    options = [("grpc.ssl_target_name_override", "doppler")]
    with grpc.secure_channel(doppler["listen"], credentials, options=options) as channel:
        with pytest.raises(grpc.RpcError) as error:
            await in_thread(batch_sender(channel), iter([batch(b"x")]))

    assert error.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_clients_that_connect_and_say_nothing_harm_nobody(doppler: Ports, channel: grpc.Channel) -> None:
    host, _, port = doppler["listen"].rpartition(":")
    silent = [await trio.open_tcp_stream(host, int(port)) for _ in range(20)]
    stream = await in_thread(open_stream, channel)

    await in_thread(batch_sender(channel), iter([batch(b"heard")]))

    assert await in_thread(read, stream, 1) == [b"heard"]
    stream.cancel()
    for each in silent:
        await each.aclose()


async def test_a_vanished_subscriber_is_noticed_and_its_books_are_closed(
    channel: grpc.Channel, doppler: Ports, certs_dir: Path
) -> None:
    stream = await in_thread(open_stream, channel)
    stream.cancel()

    async def closed() -> bool:
        return "doppler_subscriptions 0.0" in await get(doppler, certs_dir, "/metrics")

    await eventually(closed)
    assert "unnamed-1" in await accounts(doppler, certs_dir)


async def test_a_subscriber_that_never_reads_loses_its_own_and_a_healthy_one_loses_none(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, diode_capacity=1000, drain_grace_s=0.1) as ports:
        with dial(ports["listen"], certs_dir, "doppler") as channel:
            deaf = await in_thread(open_stream, channel, shard_id="deaf")
            healthy = await in_thread(open_stream, channel, shard_id="healthy")
            sent = 400
            messages = [batch(*[b"x" * 500] * 100) for _ in range(sent)]

            async with trio.open_nursery() as nursery:
                received: list[list[bytes]] = []

                async def read_all() -> None:
                    received.append(await in_thread(read, healthy, sent * 100))

                nursery.start_soon(read_all)
                for start in range(0, sent, 2):
                    await in_thread(batch_sender(channel), iter(messages[start : start + 2]))

            books = await accounts(ports, certs_dir)
            assert len(received[0]) == sent * 100
            assert books["healthy"]["dropped"] == {"overflow": 0, "expired": 0}
            assert books["deaf"]["dropped"]["overflow"] > 0
            assert books["deaf"]["held"] <= 1000

            lost = await in_thread(_read_what_is_left, deaf, books["deaf"]["dropped"]["overflow"])
            assert lost == books["deaf"]["dropped"]["overflow"]
            healthy.cancel()
            deaf.cancel()


def _read_what_is_left(stream: Any, expected: int) -> int:
    """Read on until the notices in the stream add up to `expected`; returns what they say."""
    told = 0
    while told < expected:
        for envelope in next(stream).batch:
            if envelope.counter.name == "dropped":
                assert envelope.tags["direction"] == "egress"
                assert envelope.tags["subscription"] == "deaf"
                told += envelope.counter.delta
                assert envelope.counter.total == told
    return told
