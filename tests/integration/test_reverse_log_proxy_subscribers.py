"""Subscribers of a reverse log proxy that read slowly or vanish, and what becomes of what they did not take."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from tests.fakes.original_router import original_router
from tests.running import eventually, in_thread
from tests.running_proxy import LOGS, METHODS, envelopes_of, log, numbered, pipeline, proxy_at, read_payloads


async def test_a_slow_subscriber_loses_at_the_doppler_and_is_told(certs_dir: Path) -> None:
    sent, message = 60_000, [log(b"x" * 500)] * 1000
    async with pipeline(certs_dir, doppler={"diode_capacity": 1000}) as proxy:
        stream = await in_thread(partial(proxy.open, shard_id="slow"))
        await proxy.readers_are(1)
        for _ in range(sent // 1000):
            await proxy.send(*message)

        lost = (await proxy.books_of_doppler("slow"))["dropped"]["overflow"]
        assert lost > 0
        held = await proxy.books("slow")
        assert (held["held"] + held["in_flight"]) * 500 < (2 << 20) + 1000 * 550  # a window and a message

        told, arrived = await in_thread(read_all_there_is, stream, sent)

        assert told == lost == sent - arrived
        books = await proxy.books("slow")
        assert (books["held"], books["in_flight"], books["dropped"]) == (0, 0, {"unread": 0})
        stream.cancel()


def read_all_there_is(stream: Any, sent: int) -> tuple[int, int]:
    """Read until what came and what the notices tell add up to `sent`: (told, arrived)."""
    told = arrived = 0
    for envelope in envelopes_of(stream):
        if envelope.counter.name == "dropped":
            told += envelope.counter.delta
        else:
            arrived += 1
        if told + arrived == sent:
            break
    return told, arrived


@pytest.mark.parametrize("method", METHODS)
async def test_a_slow_subscriber_harms_no_other(certs_dir: Path, method: str) -> None:
    async with pipeline(certs_dir) as proxy:
        deaf = await in_thread(partial(proxy.open, method))
        healthy = await in_thread(proxy.open)
        await proxy.readers_are(2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(in_thread, read_payloads, healthy, 20_000)
            for _ in range(20):
                await proxy.send(*[log(b"x" * 500)] * 1000)
        for stream in (deaf, healthy):
            stream.cancel()


@pytest.mark.parametrize("method", METHODS)
async def test_what_a_vanished_subscriber_did_not_take_goes_to_the_next_of_its_shard(
    certs_dir: Path, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = 20_000
    async with pipeline(certs_dir) as proxy:
        first = await in_thread(partial(proxy.open, method, shard_id="s"))
        await proxy.readers_are(1)
        for _ in range(sent // 1000):
            await proxy.send(*[log(b"x" * 500)] * 1000)
        first.cancel()
        await proxy.readers_are(0)
        gone = await proxy.books("s")
        assert (gone["held"], gone["in_flight"]) == (0, 0)
        owed = (await proxy.books_of_doppler("s"))["held"]
        assert sent - gone["delivered"] <= owed <= sent

        second = await in_thread(partial(proxy.open, method, shard_id="s"))

        assert len(await in_thread(read_payloads, second, owed)) == owed
        second.cancel()
    assert "Traceback" not in caplog.text


async def test_a_subscriber_that_acknowledges_loses_nothing_when_it_vanishes(certs_dir: Path) -> None:
    async with pipeline(certs_dir) as proxy:
        vanishing, forget = open_acknowledged(proxy.channel, shard_id="s")
        await proxy.readers_are(1)
        await proxy.send(*numbered(100))
        assert len(await in_thread(read_payloads, vanishing, 100)) == 100
        assert (await proxy.books("s"))["in_flight"] == 100
        forget()
        await proxy.readers_are(0)

        second = await in_thread(partial(proxy.open, shard_id="s", selectors=LOGS))

        assert await in_thread(read_payloads, second, 100) == [b"%d" % n for n in range(100)]
        second.cancel()


def open_acknowledged(channel: grpc.Channel, **request: Any) -> tuple[Any, Callable[[], None]]:
    """Open a stream that promises acknowledgements and never gives one; returns it and what makes it vanish."""
    forgotten = Event()

    def requests() -> Iterator[v2.EgressBatchRequest]:
        yield v2.EgressBatchRequest(selectors=LOGS, use_preferred_tags=True, **request)
        forgotten.wait()

    stream = channel.stream_stream(
        "/loggregator.v2.Egress/BatchedReceiver",
        request_serializer=v2.EgressBatchRequest.SerializeToString,
        response_deserializer=v2.EnvelopeBatch.FromString,
    )(requests(), metadata=[("standpipe-acks", "1")])

    def forget() -> None:
        stream.cancel()
        forgotten.set()

    return stream, forget


async def test_what_an_original_router_sent_and_a_subscriber_left_behind_is_counted(certs_dir: Path) -> None:
    with original_router(certs_dir) as router:
        async with proxy_at(certs_dir, [], router.address) as proxy:
            vanishing, forget = open_acknowledged(proxy.channel)
            router.send(*numbered(100))
            assert len(await in_thread(read_payloads, vanishing, 100)) == 100

            forget()

            async def is_counted() -> bool:
                return (await proxy.books("unnamed-1"))["dropped"] == {"unread": 100}

            await eventually(is_counted)
