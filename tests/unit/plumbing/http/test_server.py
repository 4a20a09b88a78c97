"""Any application over TLS: the limits of a server, and what an application may do with its connection."""

import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from plumbing.config import parse_listen
from plumbing.http.server import Connection, HttpCounts, Limits, serve_http
from plumbing.tls import TlsFiles, client_context, server_context
from tests.running import eventually

LIMITS = {
    "handshake_s": 5.0,
    "idle_s": 5.0,
    "stalled_s": 5.0,
    "connection_s": 60.0,
    "connections": 10,
    "requests": 100,
    "header_bytes": 16 << 10,
}

Serve = Callable[..., AbstractAsyncContextManager[str]]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def start_a_stream(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})


@pytest.fixture
def trusting(certs_dir: Path) -> ssl.SSLContext:
    return client_context(certs_dir / "ca.crt")


@pytest.fixture
def serve(certs_dir: Path) -> Serve:
    @asynccontextmanager
    async def serve(app: Any = hello, *, counts: HttpCounts | None = None, **limits: Any) -> AsyncIterator[str]:
        context = server_context(TlsFiles.named(certs_dir, "doppler"), require_client_cert=False, alpn=["http/1.1"])
        edge = partial(serve_http, "127.0.0.1:0", app, context, Limits(**{**LIMITS, **limits}), counts=counts)
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                yield await nursery.start(edge)
                nursery.cancel_scope.cancel()

    return serve


async def ask(address: str, context: ssl.SSLContext) -> httpx.Response:
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        return await client.get(f"https://{address}/")


@asynccontextmanager
async def connect(address: str, context: ssl.SSLContext) -> AsyncIterator[trio.SSLStream[trio.SocketStream]]:
    tcp = await trio.open_tcp_stream(*parse_listen(address))
    stream = trio.SSLStream(tcp, context, server_hostname="127.0.0.1", https_compatible=True)
    try:
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


async def begin(stream: trio.SSLStream[trio.SocketStream]) -> bytes:
    """Send a request and read until its first data."""
    await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    text = b""
    while b"first" not in text:
        text += await stream.receive_some()
    return text


async def test_an_application_answers_over_tls(serve: Serve, trusting: ssl.SSLContext) -> None:
    async with serve() as address:
        answer = await ask(address, trusting)

    assert (answer.text, answer.headers.get("server")) == ("hello", None)


async def test_one_connection_too_many_is_closed_at_once(serve: Serve, trusting: ssl.SSLContext) -> None:
    counts = HttpCounts()
    async with serve(counts=counts, connections=1) as address, connect(address, trusting) as first:
        await first.do_handshake()
        with pytest.raises(httpx.TransportError):
            await ask(address, trusting)

        assert (counts.open, counts.turned_away) == (1, 1)


async def test_a_connection_that_ended_makes_room(serve: Serve, trusting: ssl.SSLContext) -> None:
    counts = HttpCounts()
    async with serve(counts=counts, connections=1) as address:
        for _ in range(3):
            assert (await ask(address, trusting)).text == "hello"

            async def all_left() -> bool:
                return counts.open == 0

            await eventually(all_left)


async def test_a_fault_of_the_application_is_an_answer_and_hurts_nobody_else(
    serve: Serve, trusting: ssl.SSLContext
) -> None:
    faults = 0

    async def faulty(scope: Any, receive: Any, send: Any) -> None:
        nonlocal faults
        faults += 1
        if faults == 1:
            raise RuntimeError("a fault of ours")
        await hello(scope, receive, send)

    async with serve(faulty) as address:
        answers = [await ask(address, trusting) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [500, 200]


async def test_a_connection_ends_when_its_time_is_up(serve: Serve, trusting: ssl.SSLContext) -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await start_a_stream(send)
        await trio.sleep_forever()

    async with serve(endless, connection_s=0.3) as address, connect(address, trusting) as stream:
        await begin(stream)
        assert await stream.receive_some() == b""


async def test_an_answer_may_ask_for_more_time(serve: Serve, trusting: ssl.SSLContext) -> None:
    async def long(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["connection"].lasts(60)
        await start_a_stream(send)
        await trio.sleep(0.5)
        await send({"type": "http.response.body", "body": b"last"})

    async with serve(long, connection_s=0.3) as address, connect(address, trusting) as stream:
        text = await begin(stream)
        while b"last" not in text:
            text += await stream.receive_some()


async def test_a_client_that_takes_nothing_is_cut_and_counted(serve: Serve, trusting: ssl.SSLContext) -> None:
    counts = HttpCounts()
    connections: list[Connection] = []

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        connections.append(scope["state"]["connection"])
        await start_a_stream(send)
        while connections[0].is_open:
            await send({"type": "http.response.body", "body": b"x" * (1 << 20), "more_body": True})

    async with serve(flood, counts=counts, stalled_s=0.2) as address, connect(address, trusting) as stream:
        await begin(stream)

        async def cut_off() -> bool:
            return counts.stalled == 1

        await eventually(cut_off)
        assert connections[0].was_stalled


async def test_a_client_that_is_cut_gives_its_place_back_though_further_requests_wait(
    serve: Serve, trusting: ssl.SSLContext
) -> None:
    counts = HttpCounts()

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        await start_a_stream(send)
        while scope["state"]["connection"].is_open:
            await send({"type": "http.response.body", "body": b"x" * (1 << 20), "more_body": True})

    async with serve(flood, counts=counts, stalled_s=0.2) as address, connect(address, trusting) as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 2)

        async def given_back() -> bool:
            return (counts.open, counts.stalled) == (0, 1)

        await eventually(given_back, within_s=5)


async def test_a_slow_client_that_takes_something_now_and_then_is_not(serve: Serve, trusting: ssl.SSLContext) -> None:
    counts, size = HttpCounts(), 8 << 20

    async def large(scope: Any, receive: Any, send: Any) -> None:
        await start_a_stream(send)
        await send({"type": "http.response.body", "body": b"x" * size})

    async with serve(large, counts=counts, stalled_s=2.0) as address, connect(address, trusting) as stream:
        taken = len(await begin(stream))
        while taken < size:
            taken += len(await stream.receive_some(1 << 20))
            await trio.sleep(0.001)

    assert counts.stalled == 0


async def test_an_application_can_cut_its_connection_while_it_sends(serve: Serve, trusting: ssl.SSLContext) -> None:
    cut_after: list[float] = []

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        connection = scope["state"]["connection"]
        await start_a_stream(send)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, {"type": "http.response.body", "body": b"x" * (64 << 20), "more_body": True})
            await trio.sleep(0.1)
            began_at = trio.current_time()
            connection.cut()
        cut_after.append(trio.current_time() - began_at)

    async with serve(flood, stalled_s=60) as address, connect(address, trusting) as stream:
        await begin(stream)

        async def was_cut() -> bool:
            return bool(cut_after)

        await eventually(was_cut)


async def test_a_client_that_left_is_no_open_connection(serve: Serve, trusting: ssl.SSLContext) -> None:
    connections: list[Connection] = []

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        connections.append(scope["state"]["connection"])
        await start_a_stream(send)
        while connections[0].is_open:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await trio.sleep(0.01)

    counts = HttpCounts()
    async with serve(endless, counts=counts) as address:
        async with connect(address, trusting) as stream:
            await begin(stream)

        async def noticed() -> bool:
            return counts.open == 0

        await eventually(noticed)
    assert (connections[0].is_open, counts.stalled) == (False, 0)


async def test_the_end_of_the_server_waits_for_no_slow_client(serve: Serve, trusting: ssl.SSLContext) -> None:
    async def flood(scope: Any, receive: Any, send: Any) -> None:
        await start_a_stream(send)
        await send({"type": "http.response.body", "body": b"x" * (64 << 20)})

    async with connect_later() as later:
        async with serve(flood, stalled_s=60) as address:
            stream = await later(address, trusting)
            await begin(stream)
            ending_at = trio.current_time()
        assert trio.current_time() - ending_at < 5


@asynccontextmanager
async def connect_later() -> AsyncIterator[Any]:
    """Open a connection that stays up beyond the server it is open to."""
    streams: list[trio.SSLStream[trio.SocketStream]] = []

    async def later(address: str, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
        tcp = await trio.open_tcp_stream(*parse_listen(address))
        streams.append(trio.SSLStream(tcp, context, server_hostname="127.0.0.1", https_compatible=True))
        return streams[0]

    try:
        yield later
    finally:
        for stream in streams:
            await trio.aclose_forcefully(stream)


async def test_headers_have_a_limit_of_their_own(serve: Serve, trusting: ssl.SSLContext) -> None:
    async with serve(header_bytes=1000) as address, httpx.AsyncClient(verify=trusting, trust_env=False) as client:
        answer = await client.get(f"https://{address}/", headers={"x": "x" * 20_000})

    assert answer.status_code == 431


async def test_an_address_in_use_is_named_with_its_setting(certs_dir: Path) -> None:
    context = server_context(TlsFiles.named(certs_dir, "doppler"), require_client_cert=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"gateway.listen {address}") as error:
            await serve_http(address, hello, context, Limits(**LIMITS), setting="gateway.listen")  # type: ignore[arg-type]
    assert error.value.errno == errno.EADDRINUSE
