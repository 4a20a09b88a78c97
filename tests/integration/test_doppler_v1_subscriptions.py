"""What a doppler owes each v1 subscriber, by filter and by shard, slow, gone or at its own end (reference 1.8, 2.3)."""

import queue
from pathlib import Path
from typing import Any

import grpc
import trio

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import plumbing_pb2 as plumbing
from plumbing.lifecycle import Ports
from tests.running import accounts, dial, eventually, in_thread, readers_at, running
from tests.v1_streams import APP, TYPE, batch_subscribe, counter, log, odd_http, push, pusher, read, texts


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
            streams = {name: await in_thread(batch_subscribe, channel, **each) for name, each in requests.items()}
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
        sharing = [await in_thread(batch_subscribe, channel, shardID="nozzle") for _ in range(2)]
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
    next_one = await in_thread(batch_subscribe, channel, shardID="nozzle")
    assert await in_thread(read, next_one, held) == sent[-held:]
    next_one.cancel()


async def test_a_v1_subscriber_that_was_too_slow_is_told_what_it_lost(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, diode_capacity=1000, drain_grace_s=0.1) as ports:
        with dial(ports["listen"], certs_dir, "doppler") as channel:
            slow = await in_thread(batch_subscribe, channel, shardID="slow")
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
    first = await in_thread(batch_subscribe, channel, shardID="nozzle")
    first.cancel()

    await readers_at(doppler, certs_dir, 0)
    await in_thread(push, channel, [log(b"kept")])

    second = await in_thread(batch_subscribe, channel, shardID="nozzle")
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
