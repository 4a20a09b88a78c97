"""What a v2 subscriber gets of what it selects, over the wire: the traps of the original's router (reference 2.2)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from envelope.crc64 import crc64
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from tests.running import in_thread, running, send_over


@pytest.fixture
async def doppler(certs_dir: Path) -> AsyncIterator[Ports]:
    async with running("doppler", certs_dir, drain_grace_s=1.0) as ports:
        yield ports


def subscribe(channel: grpc.Channel, *selectors: v2.Selector, **request: Any) -> Any:
    stream = channel.unary_stream(
        "/loggregator.v2.Egress/BatchedReceiver",
        request_serializer=v2.EgressBatchRequest.SerializeToString,
        response_deserializer=v2.EnvelopeBatch.FromString,
    )(v2.EgressBatchRequest(**{"selectors": selectors, "use_preferred_tags": True, **request}))
    stream.initial_metadata()
    return stream


def read(stream: Any, count: int) -> list[v2.Envelope]:
    envelopes: list[v2.Envelope] = []
    while len(envelopes) < count:
        envelopes += next(stream).batch
    assert len(envelopes) == count
    return envelopes


def log(source: str, text: bytes = b"") -> v2.Envelope:
    return v2.Envelope(source_id=source, log={"payload": text})


def counter(name: str) -> v2.Envelope:
    return v2.Envelope(source_id="s", counter={"name": name, "total": 1})


def gauge(*names: str) -> v2.Envelope:
    return v2.Envelope(source_id="s", gauge={"metrics": {name: v2.GaugeValue(value=1) for name in names}})


async def test_an_envelope_that_matches_two_selectors_arrives_twice(channel: grpc.Channel) -> None:
    """Trap of 2.2: duplicates."""
    stream = await in_thread(subscribe, channel, v2.Selector(log={}), v2.Selector(source_id="x", log={}))

    await send_over(channel, log("x"), log("y"))

    envelopes = await in_thread(read, stream, 3)
    assert sorted(envelope.source_id for envelope in envelopes) == ["x", "x", "y"]
    stream.cancel()


async def test_a_gauge_is_selected_by_the_exact_set_of_its_names(channel: grpc.Channel) -> None:
    stream = await in_thread(subscribe, channel, v2.Selector(gauge={"names": ["memory", "cpu"]}))
    exact = gauge("cpu", "memory")

    await send_over(channel, gauge("cpu"), gauge("cpu", "memory", "disk"), exact, gauge("memory"))
    await send_over(channel, exact)

    assert await in_thread(read, stream, 2) == [exact, exact]
    stream.cancel()


async def test_without_selectors_a_stream_opens_and_nothing_arrives(channel: grpc.Channel) -> None:
    silent, heard = await in_thread(subscribe, channel), await in_thread(subscribe, channel, v2.Selector(log={}))
    empty = await in_thread(subscribe, channel, v2.Selector(source_id="x"))
    got: list[object] = []
    for stream in (silent, empty):
        stream.add_callback(lambda: got.append("end"))

    await send_over(channel, log("x"), counter("c"))

    assert await in_thread(read, heard, 1) == [log("x")]
    assert got == []
    for stream in (silent, empty):
        stream.cancel()
        with pytest.raises(grpc.RpcError, match="CANCELLED"):
            await in_thread(next, stream)
    heard.cancel()


async def test_readers_of_one_shard_share_only_where_their_selectors_meet(channel: grpc.Channel) -> None:
    logs_and_counters = await in_thread(subscribe, channel, v2.Selector(log={}), v2.Selector(counter={}), shard_id="s")
    only_logs = await in_thread(subscribe, channel, v2.Selector(log={}), shard_id="s")

    for number in range(60):
        await send_over(channel, log("x", b"%d" % number), counter(str(number)))

    def until_all_counters_are_there() -> tuple[list[v2.Envelope], list[v2.Envelope]]:
        one: list[v2.Envelope] = []
        while sum(envelope.HasField("counter") for envelope in one) < 60:
            one += next(logs_and_counters).batch
        return one, list(next(only_logs).batch)

    one, other = await in_thread(until_all_counters_are_there)
    assert all(envelope.HasField("log") for envelope in other)
    assert {envelope.log.payload for envelope in other}.isdisjoint(
        envelope.log.payload for envelope in one if envelope.HasField("log")
    )
    logs_and_counters.cancel()
    only_logs.cancel()


async def test_readers_of_one_shard_share_though_each_wants_its_tags_in_another_form(channel: grpc.Channel) -> None:
    """As while a nozzle is being upgraded: old and new share, and each envelope goes to one of them."""
    old, new = [
        await in_thread(subscribe, channel, v2.Selector(log={}), shard_id="s", use_preferred_tags=preferred)
        for preferred in (False, True)
    ]
    everyone = await in_thread(subscribe, channel, v2.Selector(log={}))

    for number in range(60):
        await send_over(channel, v2.Envelope(tags={"n": str(number)}, log={}))

    await in_thread(read, everyone, 60)
    shares = [list((await in_thread(next, stream)).batch) for stream in (old, new)]
    assert all(envelope.deprecated_tags and not envelope.tags for envelope in shares[0])
    assert all(envelope.tags and not envelope.deprecated_tags for envelope in shares[1])
    first, second = {each.deprecated_tags["n"].text for each in shares[0]}, {each.tags["n"] for each in shares[1]}
    assert first.isdisjoint(second)
    for stream in (old, new, everyone):
        stream.cancel()


async def test_a_deterministic_name_binds_a_counter_to_one_reader_by_its_hash(channel: grpc.Channel) -> None:
    streams = {
        name: await in_thread(subscribe, channel, v2.Selector(counter={}), shard_id="s", deterministic_name=name)
        for name in ("b", "a")
    }
    names = [f"metric-{number}" for number in range(20)]

    await send_over(channel, *[counter(name) for name in names])
    await send_over(channel, *[counter(name) for name in names])

    for index, reader in enumerate(sorted(streams)):
        own = [name for name in names if crc64(name.encode()) % 2 == index]
        envelopes = await in_thread(read, streams[reader], 2 * len(own))
        assert [envelope.counter.name for envelope in envelopes] == own + own
        streams[reader].cancel()
