"""What reaches subscribers of a reverse log proxy, and how they share it (loggregator.md 1.9, 2.1, 2.2, 2.8)."""

from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from tests.running import accounts, eventually, in_thread
from tests.running_proxy import (
    METHODS,
    SINGLE,
    Proxy,
    dopplers_running,
    envelopes_of,
    log,
    numbered,
    pipeline,
    proxy_at,
    read_envelopes,
    read_payloads,
)


@pytest.mark.parametrize("method", METHODS)
async def test_what_all_dopplers_take_in_reaches_a_subscriber(certs_dir: Path, method: str) -> None:
    async with pipeline(certs_dir, 2) as proxy:
        stream = await in_thread(proxy.open, method)
        await proxy.readers_are(1, at=0)
        await proxy.readers_are(1, at=1)

        await proxy.send(log(b"1"), log(b"2"), to=0)
        await proxy.send(log(b"3"), to=1)

        assert sorted(await in_thread(read_payloads, stream, 3)) == [b"1", b"2", b"3"]
        stream.cancel()


async def test_a_receiver_gets_one_envelope_to_a_message_in_order(proxy: Proxy) -> None:
    stream = await in_thread(proxy.open, SINGLE)
    await proxy.readers_are(1)

    await proxy.send(*numbered(500))

    assert await in_thread(read_payloads, stream, 500) == [b"%d" % n for n in range(500)]
    stream.cancel()


async def test_a_large_message_comes_in_pieces_that_every_client_takes(proxy: Proxy) -> None:
    """What go-loggregator takes is gRPC's default: 4 MiB."""
    stream = await in_thread(proxy.open)
    await proxy.readers_are(1)

    await proxy.send(*numbered(90, size=100_000))

    payloads = await in_thread(read_payloads, stream, 90)
    assert [int(payload.rstrip(b"x")) for payload in payloads] == list(range(90))
    stream.cancel()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (v2.Selector(source_id="web", log={}), ["web log"]),
        (v2.Selector(log={}), ["web log", "db log"]),
        (v2.Selector(counter={"name": "requests"}), ["requests"]),
        (v2.Selector(source_id="db", counter={}), ["requests"]),
        (v2.Selector(gauge={"names": ["cpu"]}), ["cpu"]),
        (v2.Selector(event={}), ["deployed"]),
    ],
)
async def test_a_subscriber_gets_what_its_selector_names(
    proxy: Proxy, method: str, selector: v2.Selector, expected: list[str]
) -> None:
    stream = await in_thread(partial(proxy.open, method, selectors=[selector]))
    await proxy.readers_are(1)

    await proxy.send(
        log(b"web log", "web"),
        log(b"db log", "db"),
        v2.Envelope(source_id="db", counter={"name": "requests", "total": 3}),
        v2.Envelope(source_id="web", counter={"name": "errors", "total": 1}),
        v2.Envelope(source_id="web", gauge={"metrics": {"cpu": {"value": 1}}}),
        v2.Envelope(source_id="web", gauge={"metrics": {"cpu": {"value": 1}, "memory": {"value": 1}}}),
        v2.Envelope(source_id="web", event={"title": "deployed"}),
        v2.Envelope(source_id="web", tags={"is": "last"}, timer={"name": "http"}),
    )

    assert [name_of(envelope) for envelope in await in_thread(read_envelopes, stream, len(expected))] == expected
    assert (await accounts(proxy.dopplers[0], proxy.certs))["unnamed-1"]["received"] == len(expected)
    stream.cancel()


def name_of(envelope: v2.Envelope) -> str:
    match envelope.WhichOneof("message"):
        case "log":
            return envelope.log.payload.decode()
        case "counter":
            return envelope.counter.name
        case "gauge":
            return " ".join(sorted(envelope.gauge.metrics))
        case _:
            return envelope.event.title


async def test_an_envelope_that_two_selectors_match_comes_twice(proxy: Proxy) -> None:
    both = [v2.Selector(log={}), v2.Selector(source_id="app", log={})]
    stream = await in_thread(partial(proxy.open, selectors=both))
    await proxy.readers_are(1)

    await proxy.send(log(b"twice"))

    assert await in_thread(read_payloads, stream, 2) == [b"twice", b"twice"]
    stream.cancel()


async def share(first: Any, second: Any, send: Callable[[], Any], total: int) -> list[list[str]]:
    """Read two streams side by side until `total` envelopes have come; returns whose names each has."""
    shares: list[list[str]] = [[], []]

    def read_all(stream: Any, share: list[str]) -> None:
        with suppress(grpc.RpcError):
            share.extend(map(name_of, envelopes_of(stream)))

    async def complete() -> bool:
        return sum(map(len, shares)) >= total

    async with trio.open_nursery() as nursery:
        nursery.start_soon(in_thread, read_all, first, shares[0])
        nursery.start_soon(in_thread, read_all, second, shares[1])
        await send()
        await eventually(complete)
        first.cancel()
        second.cancel()
    return shares


async def send_in_turns(proxy: Proxy, count: int) -> None:
    for envelope in numbered(count):
        await proxy.send(envelope)


@pytest.mark.parametrize("proxies", [1, 2])
async def test_subscribers_of_one_shard_share_at_whichever_proxy_they_are(certs_dir: Path, proxies: int) -> None:
    async with dopplers_running(certs_dir, 1) as dopplers, proxy_at(certs_dir, dopplers) as one:
        async with AsyncExitStack() as stack:
            other = one if proxies == 1 else await stack.enter_async_context(proxy_at(certs_dir, dopplers))
            streams = [await in_thread(partial(each.open, shard_id="s")) for each in (one, other)]
            await one.readers_are(2)

            shares = await share(*streams, partial(send_in_turns, one, 60), 60)

    assert Counter(shares[0] + shares[1]) == Counter(str(n) for n in range(60))
    assert min(map(len, shares)) >= 10


async def test_a_subscriber_without_a_shard_shares_with_nobody(proxy: Proxy) -> None:
    streams = [await in_thread(partial(proxy.open, method)) for method in METHODS]
    await proxy.readers_are(2)

    await proxy.send(*numbered(10))

    for stream in streams:
        assert await in_thread(read_payloads, stream, 10) == [b"%d" % n for n in range(10)]
        stream.cancel()


@pytest.mark.parametrize("method", METHODS)
async def test_a_counter_goes_to_the_same_of_two_named_subscribers_every_time(proxy: Proxy, method: str) -> None:
    """Trap of 1.9: the original's `Receiver` drops `deterministic_name`; ours passes it on."""
    named = [partial(proxy.open, method, shard_id="s", deterministic_name=name) for name in ("a", "b")]
    streams = [await in_thread(each) for each in named]
    await proxy.readers_are(2)
    counters = [v2.Envelope(source_id="app", counter={"name": f"c{n}", "total": 1}) for n in range(20)]

    async def send_thrice() -> None:
        for _ in range(3):
            await proxy.send(*counters)

    seen = [Counter(names) for names in await share(*streams, send_thrice, 60)]

    assert all(set(names.values()) == {3} for names in seen)
    assert not seen[0].keys() & seen[1].keys()
