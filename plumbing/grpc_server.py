"""Serve gRPC on the island: raw bytes in, raw bytes out; whoever handles them decides what to parse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
import structlog
import trio

from plumbing.island import Island
from plumbing.tls import TlsFiles, grpc_server_credentials

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 10 << 20  # loggregator.md 0.1: what routers and agents receive at most
MAX_STREAMS = 4_000  # of one connection; more than readers may be, so that one too many is refused and does not wait
MIN_PING_MS = 10_000  # clients may ping this often with no call open (loggregator.md 0.1)

OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    # Original agents ping every 15 s with no call open; gRPC's default would send them away with too_many_pings.
    ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.server_handshake_timeout_ms", 5_000),  # a connection that says nothing: 120 s by default
    # A peer that vanished without a word is noticed, and its streams end.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.max_concurrent_streams", MAX_STREAMS),
]

StreamHandler: TypeAlias = "Callable[[Any, grpc.aio.ServicerContext], Awaitable[None]]"
UnaryHandler: TypeAlias = "Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]"


class Method:
    """One method of a service. Streams are served both ways: a peer that half-closes at once is a plain stream."""

    def __init__(self, *, stream: StreamHandler | None = None, unary: UnaryHandler | None = None) -> None:
        if stream is not None:
            self.handler = grpc.stream_stream_rpc_method_handler(stream)
        else:
            self.handler = grpc.unary_unary_rpc_method_handler(unary)


Service: TypeAlias = Mapping[str, Method]


class PortInUse(OSError):
    """The address cannot be listened on; the message names it."""


@asynccontextmanager
async def serve_grpc(
    island: Island,
    listen: str,
    tls: TlsFiles,
    services: Mapping[str, Service],
    *,
    grace_s: float,
    max_connections: int | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> AsyncIterator[str]:
    """Serve `services` (full service name → methods) over mTLS; yields the true `host:port`.

    A connection beyond `max_connections` is closed; a message beyond `max_message_bytes` ends its call. On leaving,
    streams get `grace_s` to end by themselves. Raises `PortInUse` naming the address.
    """
    credentials = grpc_server_credentials(tls)
    host, _, port = listen.rpartition(":")
    limits = [("grpc.max_receive_message_length", max_message_bytes)]
    if max_connections is not None:
        limits.append(("grpc.max_allowed_incoming_connections", max_connections))

    async def start() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server(options=[*OPTIONS, *limits])
        for name, methods in services.items():
            handlers = {method: definition.handler for method, definition in methods.items()}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        try:
            bound = server.add_secure_port(f"{host}:{port}", credentials)
        except RuntimeError as error:
            raise PortInUse(f"cannot listen on {listen} (gRPC): is the port in use?") from error
        await server.start()
        return server, bound

    server, bound = await island.run(start)
    try:
        yield f"{host}:{bound}"
    finally:
        await _stop(island, server, grace_s)


async def _stop(island: Island, server: grpc.aio.Server, grace_s: float) -> None:
    with trio.CancelScope(shield=True):
        await island.run(server.stop, grace_s)
