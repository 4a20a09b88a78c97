"""What may be asked of a reverse log proxy, and how much of it (loggregator.md 0.1, 1.9, 2.1)."""

from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from tests.fakes.original_router import original_router
from tests.running import eventually, in_thread
from tests.running_proxy import LOGS, METHODS, Proxy, log, pipeline, proxy_at, read_envelopes, read_payloads


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
