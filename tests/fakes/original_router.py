"""Routers of the original as their readers meet them, on plain gRPC (loggregator.md 2.1, 2.2)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

import grpc

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.acks import ACKS_METADATA, CHANGES_METADATA
from plumbing.tls import TlsFiles, grpc_server_credentials


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
    """Run a router for the time of the block."""
    router = OriginalRouter()
    with _served(certs, grpc.stream_stream_rpc_method_handler(router.serve), leaf) as router.address:
        yield router


@contextmanager
def router_that_hears_out(certs: Path) -> Iterator[str]:
    """Run a router that says nothing, not even headers, before the request has come to its end; yields its address."""

    def batched_receiver(requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
        assert len(list(requests)) == 1
        yield _log(b"served", source="a")

    with _served(certs, grpc.stream_stream_rpc_method_handler(batched_receiver)) as address:
        yield address


@contextmanager
def router_of_sources(certs: Path, served: list[list[str]], *, grants_from: float = math.inf) -> Iterator[str]:
    """Run a router that serves each request a log that names its sources; yields its address.

    It knows nothing of acknowledgements, or is none of the originals, and says so after `grants_from` requests.
    """

    def batched_receiver(message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        request = v2.EgressBatchRequest.FromString(message)
        sources = [selector.source_id for selector in request.selectors]
        served.append(sources)
        if len(served) >= grants_from:
            context.send_initial_metadata((ACKS_METADATA, CHANGES_METADATA))
        for source in sources:
            yield _log(source.encode())
        while context.is_active():
            time.sleep(0.01)

    with _served(certs, grpc.unary_stream_rpc_method_handler(batched_receiver)) as address:
        yield address


@contextmanager
def _served(certs: Path, batched_receiver: grpc.RpcMethodHandler, leaf: str = "doppler") -> Iterator[str]:
    """Serve the method for the time of the block; yields the address."""
    server = grpc.server(ThreadPoolExecutor(8))
    methods = {"BatchedReceiver": batched_receiver}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("loggregator.v2.Egress", methods),))
    port = server.add_secure_port("127.0.0.1:0", grpc_server_credentials(TlsFiles.named(certs, leaf)))
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def _log(payload: bytes, source: str = "") -> bytes:
    return v2.EnvelopeBatch(batch=[v2.Envelope(source_id=source, log={"payload": payload})]).SerializeToString()
