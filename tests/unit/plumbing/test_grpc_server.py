"""A gRPC server keeps the original's ping policy, and names an address that is not free."""

import asyncio
import threading
from pathlib import Path

import grpc
import pytest
import trio

from plumbing import grpc_server
from plumbing.grpc_server import MIN_PING_MS, OPTIONS, Method, PortInUse, serve_grpc
from plumbing.island import open_island
from plumbing.tls import TlsFiles
from tests.running import dial

PINGS = [
    ("grpc.keepalive_time_ms", 150),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]


async def wait_for_ever(_: object, context: grpc.aio.ServicerContext) -> None:
    await context.send_initial_metadata(())
    await asyncio.Event().wait()


SERVICES = {"test.Service": {"Wait": Method(stream=wait_for_ever)}}


async def ends_within(certs: Path, seconds: float) -> bool:
    """Hold a silent stream open, pinging every 150 ms; say whether the server ended it."""
    async with open_island() as island:
        files = TlsFiles.named(certs, "doppler")
        async with serve_grpc(island, "127.0.0.1:0", files, SERVICES, grace_s=0.1) as address:
            with dial(address, certs, "doppler", *PINGS) as channel:
                ended = threading.Event()
                call = channel.unary_stream("/test.Service/Wait")(b"")
                call.initial_metadata()
                call.add_callback(ended.set)
                return await trio.to_thread.run_sync(ended.wait, seconds)


def test_clients_may_ping_every_ten_seconds() -> None:
    """The agents of the original do so every 15 s; gRPC's own limit is five minutes."""
    assert dict(OPTIONS)["grpc.http2.min_ping_interval_without_data_ms"] == MIN_PING_MS == 10_000


async def test_pings_no_more_frequent_than_allowed_are_answered(
    certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaxed = {**dict(OPTIONS), "grpc.http2.min_ping_interval_without_data_ms": 100}
    monkeypatch.setattr(grpc_server, "OPTIONS", list(relaxed.items()))

    assert not await ends_within(certs_dir, 2.0)


async def test_pings_more_frequent_than_allowed_end_the_connection(certs_dir: Path) -> None:
    assert await ends_within(certs_dir, 10.0)


async def test_an_address_in_use_is_named(certs_dir: Path) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with open_island() as island:
        with pytest.raises(PortInUse, match=f"127.0.0.1:{port}"):
            async with serve_grpc(
                island, f"127.0.0.1:{port}", TlsFiles.named(certs_dir, "doppler"), SERVICES, grace_s=0.1
            ):
                pass
    await listener.aclose()
