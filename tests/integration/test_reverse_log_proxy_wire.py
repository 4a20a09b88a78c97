"""A reverse log proxy as clients of the original see it, on real dopplers (loggregator.md 1.9, 2.1, 2.2, 2.8)."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

import grpc
import pytest
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles, grpc_server_credentials
from tests.running import accounts, dial, eventually, get, running

LOGS = [v2.Selector(log={})]
ALL_KINDS = [*LOGS, *(v2.Selector(**{kind: {}}) for kind in ("counter", "gauge", "timer", "event"))]
NOWHERE = "127.0.0.1:1"
BATCHED = "BatchedReceiver"
SINGLE = "Receiver"
METHODS = [BATCHED, SINGLE]


@dataclass
class Proxy:
    """A reverse log proxy, the dopplers behind it, and channels to all of them."""

    ports: Ports
    channel: grpc.Channel
    dopplers: list[Ports]
    doppler_channels: list[grpc.Channel]
    certs: Path

    def open(self, method: str = BATCHED, **request: Any) -> Any:
        """Open a stream as go-loggregator does, and wait until the proxy has it."""
        return open_stream(self.channel, method, **request)

    async def send(self, *envelopes: v2.Envelope, to: int = 0) -> None:
        """Send to one doppler as an agent does, and wait for its answer."""
        await send_over(self.doppler_channels[to], *envelopes)

    async def readers_are(self, count: int, at: int = 0) -> None:
        """Wait until so many streams are open at one doppler."""
        await readers_at(self.dopplers[at], self.certs, count)

    async def books(self, subscriber: str) -> dict[str, Any]:
        return (await accounts(self.ports, self.certs))[f"subscriber {subscriber}"]

    async def books_of_doppler(self, subscription: str) -> dict[str, Any]:
        return (await accounts(self.dopplers[0], self.certs))[subscription]

    async def metric(self, name: str) -> float:
        text = await get(self.ports, self.certs, "/metrics")
        return next(
            float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"reverse_log_proxy_{name} ")
        )


@asynccontextmanager
async def dopplers_running(certs: Path, count: int, **settings: Any) -> AsyncIterator[list[Ports]]:
    async with AsyncExitStack() as stack:
        given = {"drain_grace_s": 0.3, **settings}
        yield [await stack.enter_async_context(running("doppler", certs, **given)) for _ in range(count)]


@asynccontextmanager
async def proxy_at(certs: Path, dopplers: Sequence[Ports], *others: str, **settings: Any) -> AsyncIterator[Proxy]:
    """Run a proxy on these dopplers, and on `others`, which are addresses."""
    addresses = [*(doppler["listen"] for doppler in dopplers), *others]
    async with running(
        "reverse_log_proxy", certs, **{"doppler_addresses": addresses, "drain_grace_s": 0.3, **settings}
    ) as ports:
        with dial(ports["listen"], certs, "reverselogproxy") as channel, ExitStack() as stack:
            channels = [stack.enter_context(dial(each["listen"], certs, "doppler")) for each in dopplers]
            yield Proxy(ports, channel, list(dopplers), channels, certs)


@asynccontextmanager
async def pipeline(certs: Path, count: int = 1, *, doppler: Any = None, **settings: Any) -> AsyncIterator[Proxy]:
    async with dopplers_running(certs, count, **(doppler or {})) as dopplers:
        async with proxy_at(certs, dopplers, **settings) as proxy:
            yield proxy


@pytest.fixture
async def proxy(certs_dir: Path) -> AsyncIterator[Proxy]:
    async with pipeline(certs_dir) as proxy:
        yield proxy


@dataclass
class OriginalRouter:
    """A router of the original: it acknowledges nothing, converges no tags, and sends what the test gives it."""

    address: str = ""
    messages: SimpleQueue[bytes] = field(default_factory=SimpleQueue)
    requests: list[v2.EgressBatchRequest] = field(default_factory=list)

    def serve(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self.requests.append(v2.EgressBatchRequest.FromString(next(requests)))
        while context.is_active():
            with suppress(Empty):
                yield self.messages.get(timeout=0.02)

    def send(self, *envelopes: v2.Envelope) -> None:
        self.messages.put(v2.EnvelopeBatch(batch=envelopes).SerializeToString())


@contextmanager
def original_router(certs: Path, leaf: str = "doppler") -> Iterator[OriginalRouter]:
    router = OriginalRouter()
    server = grpc.server(ThreadPoolExecutor(4))
    methods = {"BatchedReceiver": grpc.stream_stream_rpc_method_handler(router.serve)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("loggregator.v2.Egress", methods),))
    port = server.add_secure_port("127.0.0.1:0", grpc_server_credentials(TlsFiles.named(certs, leaf)))
    server.start()
    router.address = f"127.0.0.1:{port}"
    try:
        yield router
    finally:
        server.stop(0).wait()


async def send_over(channel: grpc.Channel, *envelopes: v2.Envelope) -> None:
    sender = channel.stream_unary(
        "/loggregator.v2.Ingress/BatchSender", request_serializer=v2.EnvelopeBatch.SerializeToString
    )
    await in_thread(sender, iter([v2.EnvelopeBatch(batch=envelopes)]))


async def readers_at(doppler: Ports, certs: Path, count: int) -> None:
    """Wait until so many streams are open at a doppler."""

    async def so_many() -> bool:
        return f"doppler_readers {count}.0\n" in await get(doppler, certs, "/metrics")

    await eventually(so_many)


def open_stream(channel: grpc.Channel, method: str = BATCHED, **request: Any) -> Any:
    kind, answer = {
        BATCHED: (v2.EgressBatchRequest, v2.EnvelopeBatch),
        SINGLE: (v2.EgressRequest, v2.Envelope),
    }[method]
    stream = channel.unary_stream(
        f"/loggregator.v2.Egress/{method}",
        request_serializer=kind.SerializeToString,
        response_deserializer=answer.FromString,
    )(kind(**{"selectors": ALL_KINDS, "use_preferred_tags": True, **request}))
    stream.initial_metadata()
    return stream


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    with trio.fail_after(20):
        return await trio.to_thread.run_sync(partial(function, *args), abandon_on_cancel=True)


def envelopes_of(stream: Any) -> Iterator[v2.Envelope]:
    for message in stream:
        yield from message.batch if isinstance(message, v2.EnvelopeBatch) else [message]


def read_envelopes(stream: Any, count: int) -> list[v2.Envelope]:
    return list(islice(envelopes_of(stream), count))


def read_payloads(stream: Any, count: int) -> list[bytes]:
    return [envelope.log.payload for envelope in read_envelopes(stream, count)]


def read_to_the_end(stream: Any) -> list[bytes]:
    """Read until the server ends the stream in good order."""
    return [envelope.log.payload for envelope in envelopes_of(stream)]


def log(payload: bytes, source: str = "app", **fields: Any) -> v2.Envelope:
    return v2.Envelope(source_id=source, log={"payload": payload}, **fields)


def numbered(count: int, size: int = 0) -> list[v2.Envelope]:
    return [log(b"%d" % n + b"x" * size) for n in range(count)]


# --- both methods -----------------------------------------------------------------------------------------------------


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


# --- requests ---------------------------------------------------------------------------------------------------------


def failure_of(stream: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as error:
        next(stream)
    return error.value.code(), error.value.details()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"selectors": []}, "Selectors cannot be empty"),
        ({"selectors": [v2.Selector(source_id="app")]}, "Selectors must have a Message"),
        ({"selectors": [*LOGS, v2.Selector()]}, "Selectors must have a Message"),
        ({"selectors": [], "legacy_selector": v2.Selector()}, "Selectors must have a Message"),
        ({"selectors": [v2.Selector()], "legacy_selector": LOGS[0]}, "Selectors must have a Message"),
    ],
)
async def test_a_request_for_nothing_is_refused_in_the_originals_words(
    proxy: Proxy, method: str, request_: dict[str, Any], text: str
) -> None:
    assert await in_thread(lambda: failure_of(proxy.open(method, **request_))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        text,
    )


@pytest.mark.parametrize("method", METHODS)
async def test_bytes_that_are_no_request_are_refused(proxy: Proxy, method: str) -> None:
    stream = proxy.channel.unary_stream(f"/loggregator.v2.Egress/{method}")(b"\x0a\xff")

    code, text = await in_thread(failure_of, stream)

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "not an EgressBatchRequest" in text


async def test_a_request_over_4_mib_is_refused_and_the_next_is_served(proxy: Proxy) -> None:
    """What the original's server receives at most is gRPC's default (0.1)."""
    refusal = await in_thread(lambda: failure_of(proxy.open(shard_id="x" * (4 << 20))))
    assert refusal[0] is grpc.StatusCode.RESOURCE_EXHAUSTED

    stream = await in_thread(proxy.open)
    await proxy.readers_are(1)
    stream.cancel()


async def test_a_router_whose_certificate_names_another_is_not_read(certs_dir: Path) -> None:
    """The name that a proxy demands of a router is `doppler` (0.1)."""
    with original_router(certs_dir, "metron") as other, original_router(certs_dir) as router:
        async with proxy_at(certs_dir, [], other.address, router.address) as proxy:
            stream = await in_thread(proxy.open)
            router.send(log(b"x"))

            assert await in_thread(read_payloads, stream, 1) == [b"x"]
            stream.cancel()
    assert (len(other.requests), len(router.requests)) == (0, 1)


@pytest.mark.parametrize("method", METHODS)
async def test_one_stream_too_many_is_refused_until_another_has_left(certs_dir: Path, method: str) -> None:
    async with pipeline(certs_dir, max_egress_streams=1) as proxy:
        first = await in_thread(proxy.open, method)

        refusal = await in_thread(lambda: failure_of(proxy.open(method)))

        text = "unable to create stream, max egress streams reached: 1"
        assert refusal == (grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        assert await proxy.metric("streams_rejected_total") == 1
        first.cancel()

        async def is_alone() -> bool:
            return await proxy.metric("subscribers") == 0

        await eventually(is_alone)
        second = await in_thread(proxy.open, method)
        await proxy.readers_are(1)
        second.cancel()


async def test_one_connection_too_many_is_closed(certs_dir: Path) -> None:
    async with pipeline(certs_dir, max_connections=1) as proxy:
        stream = await in_thread(proxy.open)
        await proxy.readers_are(1)
        host, _, port = proxy.ports["listen"].rpartition(":")

        with trio.fail_after(5):
            async with await trio.open_tcp_stream(host, int(port)) as second:
                assert await second.receive_some(1) == b""

        await proxy.send(log(b"heard"))
        assert await in_thread(read_payloads, stream, 1) == [b"heard"]
        stream.cancel()


@pytest.mark.parametrize("method", METHODS)
async def test_a_legacy_selector_is_served_where_there_is_no_other(proxy: Proxy, method: str) -> None:
    stream = await in_thread(partial(proxy.open, method, selectors=[], legacy_selector=v2.Selector(timer={})))
    await proxy.readers_are(1)

    await proxy.send(log(b"no"), v2.Envelope(source_id="app", timer={"name": "http"}))

    (envelope,) = await in_thread(read_envelopes, stream, 1)
    assert envelope.timer.name == "http"
    stream.cancel()


async def test_a_router_is_never_asked_for_a_legacy_selector(certs_dir: Path) -> None:
    with original_router(certs_dir) as router:
        async with proxy_at(certs_dir, [], router.address) as proxy:
            old = {"legacy_selector": v2.Selector(timer={})}
            streams = [await in_thread(partial(proxy.open, **old, selectors=selectors)) for selectors in ([], LOGS)]

            async def asked_twice() -> bool:
                return len(router.requests) == 2

            await eventually(asked_twice)
            for stream in streams:
                stream.cancel()

    asked = {str(request.selectors) for request in router.requests}
    assert asked == {str([v2.Selector(timer={})]), str(LOGS)}
    assert not any(request.HasField("legacy_selector") for request in router.requests)


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


# --- shards -----------------------------------------------------------------------------------------------------------


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
    """The original's `Receiver` forgets the name; ours passes it on."""
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


# --- tags -------------------------------------------------------------------------------------------------------------


def value(**of: Any) -> v2.Value:
    return v2.Value(**of)


MIXED = log(
    b"mixed",
    tags={"clash": "new", "only": "tags"},
    deprecated_tags={
        "clash": value(text="old"),
        "integer": value(integer=-7),
        "decimal": value(decimal=0.5),
        "large": value(decimal=1e21),
        "nothing": value(),
    },
)
PREFERRED = {"clash": "old", "only": "tags", "integer": "-7", "decimal": "0.5", "large": "1e+21"}


@pytest.mark.parametrize("method", METHODS)
async def test_an_original_routers_tags_become_preferred_ones_and_the_deprecated_win(
    certs_dir: Path, method: str
) -> None:
    with original_router(certs_dir) as router:
        async with proxy_at(certs_dir, [], router.address) as proxy:
            stream = await in_thread(partial(proxy.open, method, use_preferred_tags=True))
            router.send(MIXED)

            (envelope,) = await in_thread(read_envelopes, stream, 1)

            stream.cancel()
    assert not envelope.deprecated_tags
    assert PREFERRED.items() <= dict(envelope.tags).items()


@pytest.mark.parametrize("method", METHODS)
async def test_an_original_routers_tags_become_deprecated_texts_where_these_are_asked_for(
    certs_dir: Path, method: str
) -> None:
    with original_router(certs_dir) as router:
        async with proxy_at(certs_dir, [], router.address) as proxy:
            stream = await in_thread(partial(proxy.open, method, use_preferred_tags=False))
            router.send(MIXED)

            (envelope,) = await in_thread(read_envelopes, stream, 1)

            stream.cancel()
    assert not envelope.tags
    assert envelope.deprecated_tags["only"] == value(text="tags")


@pytest.mark.parametrize("preferred", [True, False])
async def test_tags_come_in_the_form_asked_for(proxy: Proxy, preferred: bool) -> None:
    stream = await in_thread(partial(proxy.open, use_preferred_tags=preferred))
    await proxy.readers_are(1)

    await proxy.send(log(b"x", tags={"a": "1"}, deprecated_tags={"b": value(integer=2)}))

    (envelope,) = await in_thread(read_envelopes, stream, 1)
    found = dict(envelope.tags), dict(envelope.deprecated_tags)
    assert found == (({"a": "1", "b": "2"}, {}) if preferred else ({}, {"a": value(text="1"), "b": value(integer=2)}))
    stream.cancel()


# --- Dopplers that misbehave ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
async def test_what_is_no_envelope_is_skipped_and_its_neighbours_arrive(certs_dir: Path, method: str) -> None:
    good = v2.EnvelopeBatch(batch=[log(b"good")]).SerializeToString()
    with original_router(certs_dir) as router:
        async with proxy_at(certs_dir, [], router.address) as proxy:
            stream = await in_thread(proxy.open, method)
            for message in (good + b"\x0a\x02\x12\xff" + good, b"\xff\xff", b"", good):
                router.messages.put(message)

            assert await in_thread(read_payloads, stream, 3) == [b"good"] * 3

            books = await proxy.books("unnamed-1")
            assert (books["received"], books["delivered"], books["skipped"]) == (5, 3, 2)
            stream.cancel()


async def test_a_large_message_comes_in_pieces_that_every_client_takes(proxy: Proxy) -> None:
    """What go-loggregator takes is gRPC's default: 4 MiB."""
    stream = await in_thread(proxy.open)
    await proxy.readers_are(1)

    await proxy.send(*numbered(90, size=100_000))

    payloads = await in_thread(read_payloads, stream, 90)
    assert [int(payload.rstrip(b"x")) for payload in payloads] == list(range(90))
    stream.cancel()


async def test_a_doppler_that_dies_and_returns_is_read_again(certs_dir: Path) -> None:
    async with dopplers_running(certs_dir, 1) as (first,):
        address = first["listen"]
    async with dopplers_running(certs_dir, 1) as dopplers, proxy_at(certs_dir, dopplers, address) as proxy:
        stream = await in_thread(proxy.open)
        async with dopplers_running(certs_dir, 1, listen=address) as (dying,):
            await readers_at(dying, certs_dir, 1)
            connects = await proxy.metric("doppler_connects_total")

        await proxy.send(log(b"meanwhile"))
        assert await in_thread(read_payloads, stream, 1) == [b"meanwhile"]

        async with dopplers_running(certs_dir, 1, listen=address) as (returned,):
            await readers_at(returned, certs_dir, 1)
            with dial(address, certs_dir, "doppler") as channel:
                await send_over(channel, log(b"back"))
            assert await in_thread(read_payloads, stream, 1) == [b"back"]
            assert await proxy.metric("doppler_connects_total") > connects
            assert await proxy.metric("doppler_disconnects_total") >= 1
            stream.cancel()


async def test_a_doppler_that_takes_connections_and_never_answers_holds_up_nobody(certs_dir: Path) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    silent = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    async with dopplers_running(certs_dir, 1) as dopplers:
        async with proxy_at(certs_dir, dopplers, silent) as proxy:
            stream = await in_thread(proxy.open)
            await proxy.readers_are(1)

            await proxy.send(log(b"heard"))

            assert await in_thread(read_payloads, stream, 1) == [b"heard"]
            stream.cancel()
    for listener in listeners:
        await listener.aclose()


async def test_a_doppler_that_says_nothing_on_a_stream_holds_up_nobody(certs_dir: Path) -> None:
    with original_router(certs_dir) as silent:
        async with dopplers_running(certs_dir, 1) as dopplers:
            async with proxy_at(certs_dir, dopplers, silent.address) as proxy:
                stream = await in_thread(proxy.open)
                await proxy.readers_are(1)

                await proxy.send(log(b"heard"))

                assert await in_thread(read_payloads, stream, 1) == [b"heard"]
                stream.cancel()


async def test_a_subscriber_may_come_before_the_first_doppler(certs_dir: Path) -> None:
    async with dopplers_running(certs_dir, 1) as (first,):
        address = first["listen"]
    async with proxy_at(certs_dir, [], address) as proxy:
        stream = await in_thread(proxy.open)

        async with dopplers_running(certs_dir, 1, listen=address) as (doppler,):
            await readers_at(doppler, certs_dir, 1)
            with dial(address, certs_dir, "doppler") as channel:
                await send_over(channel, log(b"at last"))

            assert await in_thread(read_payloads, stream, 1) == [b"at last"]
            stream.cancel()


async def test_a_doppler_that_refuses_is_asked_less_and_less_often(certs_dir: Path) -> None:
    async with pipeline(certs_dir, doppler={"max_subscriptions": 1}) as proxy:
        served = await in_thread(proxy.open)
        await proxy.readers_are(1)
        started = trio.current_time()
        waiting = await in_thread(proxy.open)

        async def asked_five_times() -> bool:
            return await proxy.metric("doppler_connects_total") >= 6

        await eventually(asked_five_times)

        assert trio.current_time() - started > 0.025 + 0.05 + 0.1 + 0.2
        for stream in (served, waiting):
            stream.cancel()


# --- subscribers that misbehave ---------------------------------------------------------------------------------------


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


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
async def test_at_the_end_a_subscriber_gets_what_was_read_and_the_rest_stays_with_the_doppler(
    certs_dir: Path, method: str
) -> None:
    sent = 20_000
    async with dopplers_running(certs_dir, 1) as dopplers:
        async with proxy_at(certs_dir, dopplers) as proxy, trio.open_nursery() as nursery:
            async with proxy_at(certs_dir, dopplers, drain_grace_s=8.0) as ending:
                channel = dial(ending.ports["listen"], certs_dir, "reverselogproxy")
                stream = await in_thread(partial(open_stream, channel, method, shard_id="s"))
                await proxy.readers_are(1)
                for _ in range(sent // 1000):
                    await proxy.send(*[log(b"x" * 500)] * 1000)
                arrived: list[bytes] = []

                async def read_on() -> None:
                    arrived.extend(await in_thread(read_to_the_end, stream))

                nursery.start_soon(read_on)

        channel.close()
        (doppler,) = dopplers
        books = (await accounts(doppler, certs_dir))["s"]
        assert (books["delivered"], books["held"]) == (len(arrived), sent - len(arrived))


async def test_a_subscriber_that_takes_nothing_does_not_hold_up_the_end(certs_dir: Path) -> None:
    async with dopplers_running(certs_dir, 1) as dopplers, AsyncExitStack() as stack:
        async with proxy_at(certs_dir, dopplers, drain_grace_s=0.2) as proxy:
            channel = stack.enter_context(dial(proxy.ports["listen"], certs_dir, "reverselogproxy"))
            stream = await in_thread(partial(open_stream, channel, shard_id="deaf"))
            await proxy.readers_are(1)
            for _ in range(20):
                await proxy.send(*[log(b"x" * 500)] * 1000)
            ending = trio.current_time()

        assert trio.current_time() - ending < 5
        stream.cancel()
        books = (await accounts(dopplers[0], certs_dir))["deaf"]
        assert books["in_flight"] == 0
        assert books["held"] > 10_000
