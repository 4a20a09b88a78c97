"""A node of a log cache that takes connections and then hangs, at one step or another."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import grpc
import trio

from plumbing.tls import TlsFiles, grpc_server_credentials, server_context

HANGS = ["before TLS", "before HTTP/2", "before its answer"]
_METHODS = {"Ingress": ["Send"], "Egress": ["Read", "Meta"]}


@asynccontextmanager
async def hung_node(how: str, certs: Path) -> AsyncIterator[str]:
    """Run one for the time of the block; yields its address."""
    files = TlsFiles.named(certs, "log-cache")
    if how == "before its answer":
        with _that_never_answers(files) as address:
            yield address
        return
    async with trio.open_nursery() as nursery:
        if how == "before TLS":
            (listener,) = await nursery.start(partial(trio.serve_tcp, _say_nothing, 0, host="127.0.0.1"))
            bound = listener.socket
        else:
            context = server_context(files, require_client_cert=True)
            context.set_alpn_protocols(["h2"])
            serve = partial(trio.serve_ssl_over_tcp, _shake_hands, 0, context, host="127.0.0.1")
            (secure,) = await nursery.start(serve)
            bound = secure.transport_listener.socket
        host, port = bound.getsockname()
        yield f"{host}:{port}"
        nursery.cancel_scope.cancel()


async def _say_nothing(_: trio.abc.Stream) -> None:
    await trio.sleep_forever()


async def _shake_hands(stream: trio.SSLStream[trio.SocketStream]) -> None:
    try:
        while await stream.receive_some():
            pass
    except trio.BrokenResourceError:
        pass


@contextmanager
def _that_never_answers(files: TlsFiles) -> Iterator[str]:
    ended = threading.Event()

    def hang(_: bytes, __: grpc.ServicerContext) -> bytes:
        ended.wait()
        return b""

    server = grpc.server(ThreadPoolExecutor(16))
    for service, methods in _METHODS.items():
        handlers = {name: grpc.unary_unary_rpc_method_handler(hang) for name in methods}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"logcache.v1.{service}", handlers),))
    port = server.add_secure_port("127.0.0.1:0", grpc_server_credentials(files))
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        ended.set()
        server.stop(0).wait()
