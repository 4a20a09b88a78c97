"""A reverse log proxy and Dopplers that misbehave, die, come late, or are none of its own."""

from pathlib import Path

import pytest
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from tests.fakes.original_router import original_router
from tests.running import dial, eventually, in_thread, readers_at, send_over
from tests.running_proxy import METHODS, dopplers_running, log, pipeline, proxy_at, read_payloads


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
