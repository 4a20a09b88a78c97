"""The admin port over real sockets: what it answers, whom it turns away, and what cannot bring it down."""

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trio
from prometheus_client import CollectorRegistry, Counter

import plumbing.admin
from plumbing.admin import Health, serve_admin
from plumbing.config import parse_listen
from plumbing.tls import TlsFiles, client_context

PATIENCE_S = 10

Serve = Callable[..., AbstractAsyncContextManager[str]]


async def empty_books() -> dict[str, Any]:
    return {"accounts": []}


@pytest.fixture
def serve(certs_dir: Path) -> Serve:
    @asynccontextmanager
    async def serve(
        *,
        registry: CollectorRegistry | None = None,
        ledger: Callable[[], Awaitable[dict[str, Any]]] = empty_books,
        health: Callable[[], Health] = Health,
    ) -> AsyncIterator[str]:
        edge = partial(
            serve_admin,
            "127.0.0.1:0",
            TlsFiles.named(certs_dir, "doppler"),
            registry=registry or CollectorRegistry(),
            ledger=ledger,
            health=health,
        )
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                yield await nursery.start(edge)
                nursery.cancel_scope.cancel()

    return serve


@pytest.fixture
def trusted(certs_dir: Path) -> ssl.SSLContext:
    return client_context(certs_dir / "ca.crt", certs_dir / "client.crt", certs_dir / "client.key")


async def ask(address: str, context: ssl.SSLContext, path: str, method: str = "GET", **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        return await client.request(method, f"https://{address}{path}", **options)


@asynccontextmanager
async def connect(address: str, context: ssl.SSLContext | None = None) -> AsyncIterator[trio.abc.Stream]:
    stream: trio.abc.Stream = await trio.open_tcp_stream(*parse_listen(address))
    if context:
        stream = trio.SSLStream(stream, context, server_hostname="127.0.0.1", https_compatible=True)
    try:
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    return b"".join([bytes(part) async for part in stream])


async def test_metrics_are_prometheus_text(serve, trusted):
    registry = CollectorRegistry()
    Counter("seen", "Seen.", registry=registry).inc(3)
    async with serve(registry=registry) as address:
        answer = await ask(address, trusted, "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "\nseen_total 3.0\n" in answer.text


async def test_metrics_are_openmetrics_for_those_who_ask(serve, trusted):
    async with serve() as address:
        answer = await ask(
            address, trusted, "/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"}
        )
    assert answer.text.endswith("# EOF\n")


async def test_health_is_ok(serve, trusted):
    async with serve() as address:
        answer = await ask(address, trusted, "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_health_says_what_is_wrong(serve, trusted):
    async with serve(health=lambda: Health(("no doppler",))) as address:
        answer = await ask(address, trusted, "/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unhealthy", "reasons": ["no doppler"]})


async def test_the_ledger_is_json(serve, trusted):
    async with serve() as address:
        answer = await ask(address, trusted, "/ledger")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {"accounts": []}


async def test_books_that_take_too_long_are_given_up(serve, trusted, monkeypatch):
    monkeypatch.setattr(plumbing.admin, "ANSWER_S", 0)
    async with serve(ledger=trio.sleep_forever) as address:
        assert (await ask(address, trusted, "/ledger")).status_code == 503


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/", "/healthz/x", "//ledger"])
async def test_other_paths_are_not_found(serve, trusted, path):
    async with serve() as address:
        assert (await ask(address, trusted, path)).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_other_methods_are_not_allowed(serve, trusted, method):
    async with serve() as address:
        answer = await ask(address, trusted, "/healthz", method)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


async def test_one_connection_serves_many_requests(serve, trusted):
    async with serve() as address, httpx.AsyncClient(verify=trusted, trust_env=False) as client:
        answers = [await client.get(f"https://{address}/healthz") for _ in range(3)]
        peers = {answer.extensions["network_stream"].get_extra_info("client_addr") for answer in answers}
    assert len(peers) == 1


async def test_nothing_says_what_software_this_is(serve, trusted):
    async with serve() as address:
        assert "server" not in (await ask(address, trusted, "/healthz")).headers


async def test_a_client_without_a_certificate_is_turned_away(serve, certs_dir):
    async with serve() as address:
        with pytest.raises(httpx.TransportError):
            await ask(address, client_context(certs_dir / "ca.crt"), "/healthz")


async def test_a_certificate_of_another_authority_is_turned_away(serve, certs_dir, other_certs_dir):
    stranger = client_context(certs_dir / "ca.crt", other_certs_dir / "client.crt", other_certs_dir / "client.key")
    async with serve() as address:
        with pytest.raises(httpx.TransportError):
            await ask(address, stranger, "/healthz")


async def test_plain_text_is_turned_away(serve):
    async with serve() as address:
        with pytest.raises(httpx.TransportError):
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.get(f"http://{address}/healthz")


async def test_large_headers_are_refused(serve, trusted):
    async with serve() as address:
        answer = await ask(address, trusted, "/healthz", headers={"x": "x" * (32 << 10)})
    assert answer.status_code == 431


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_body_is_refused(serve, trusted, method):
    async with serve() as address:
        answer = await ask(address, trusted, "/healthz", method, content=b"x")
    assert answer.status_code == 413


async def test_a_body_without_end_is_refused_at_once(serve, trusted):
    async with serve() as address, connect(address, trusted) as stream:
        await stream.send_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        assert (await read_all(stream)).startswith(b"HTTP/1.1 413")


async def test_slow_headers_are_cut_off(serve, trusted, monkeypatch):
    monkeypatch.setattr(plumbing.admin, "IDLE_S", 0.05)
    async with serve() as address, connect(address, trusted) as stream:
        await stream.send_all(b"GET /healthz HTTP/1.1\r\nhost:")
        assert await read_all(stream) == b""


async def test_a_silent_handshake_is_cut_off(serve, monkeypatch):
    monkeypatch.setattr(plumbing.admin, "HANDSHAKE_S", 0.05)
    async with serve() as address, connect(address) as stream:
        assert await read_all(stream) == b""


@pytest.mark.parametrize(
    "request_line_and_headers",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: a",
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: AAAA",
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: a",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
        b"\x00\xff",
    ],
)
async def test_one_malformed_request_hurts_nobody_else(serve, trusted, request_line_and_headers):
    async with serve() as address, connect(address, trusted) as stream:
        await stream.send_all(request_line_and_headers + b"\r\n\r\n")
        await stream.receive_some()
        assert (await ask(address, trusted, "/healthz")).status_code == 200


async def test_a_metric_that_cannot_be_read_hurts_nobody_else(serve, trusted):
    class Unreadable:
        def describe(self) -> list[Any]:
            return []

        def collect(self) -> list[Any]:
            raise RuntimeError("unreadable")

    registry = CollectorRegistry()
    registry.register(Unreadable())
    async with serve(registry=registry) as address:
        assert (await ask(address, trusted, "/metrics")).status_code == 500
        assert (await ask(address, trusted, "/healthz")).status_code == 200


async def test_an_idle_connection_does_not_hold_up_the_end(serve, trusted):
    async with httpx.AsyncClient(verify=trusted, trust_env=False) as client:
        async with serve() as address:
            await client.get(f"https://{address}/healthz")
            before = trio.current_time()
        assert trio.current_time() - before < plumbing.admin.IDLE_S / 2


async def test_a_client_that_does_not_read_cannot_hold_up_the_end(serve, trusted, monkeypatch):
    monkeypatch.setattr(plumbing.admin, "STALLED_S", 1.0)

    async def vast_books() -> dict[str, Any]:
        return {"accounts": ["x" * (64 << 20)]}

    async with AsyncExitStack() as afterwards, serve(ledger=vast_books) as address:
        stream = await afterwards.enter_async_context(connect(address, trusted))
        await stream.send_all(b"GET /ledger HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await stream.receive_some(16)).startswith(b"HTTP/1.1 200")


async def test_a_port_in_use_is_named(certs_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=rf"Address already in use: 'admin_listen {address}'"):
            await serve_admin(
                address,
                TlsFiles.named(certs_dir, "doppler"),
                registry=CollectorRegistry(),
                ledger=empty_books,
                health=Health,
            )


async def test_a_host_that_does_not_exist_is_named(certs_dir):
    with pytest.raises(OSError, match=r"admin_listen no-such-host\.invalid:0"):
        await serve_admin(
            "no-such-host.invalid:0",
            TlsFiles.named(certs_dir, "doppler"),
            registry=CollectorRegistry(),
            ledger=empty_books,
            health=Health,
        )


async def test_a_large_ledger_arrives_whole(serve, trusted):
    books = {"accounts": ["x" * 100] * 10_000}

    async def large_books() -> dict[str, Any]:
        return books

    async with serve(ledger=large_books) as address:
        assert orjson.loads((await ask(address, trusted, "/ledger")).content) == books
