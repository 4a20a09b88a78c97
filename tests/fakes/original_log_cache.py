"""A node of the original's log cache as its peers meet it, on plain gRPC (loggregator.md 2.7, 4.1, 4.2)."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope
from plumbing.tls import TlsFiles, grpc_server_credentials

_TYPES = {"log": pb.LOG, "counter": pb.COUNTER, "gauge": pb.GAUGE, "timer": pb.TIMER, "event": pb.EVENT}


@dataclass
class OriginalLogCache:
    """Keeps what is sent by source and time, and every request; of metadata it knows nothing."""

    address: str = ""
    sends: list[pb.SendRequest] = field(default_factory=list)
    reads: list[pb.ReadRequest] = field(default_factory=list)
    metas: list[pb.MetaRequest] = field(default_factory=list)
    held: dict[str, dict[int, Envelope]] = field(default_factory=lambda: defaultdict(dict))
    """Source → key → envelope. Where a time is taken, the next free nanosecond is the key."""

    garbled: bool = False
    """Whether it answers questions for metadata with what is no message."""

    def send(self, message: bytes, _: grpc.ServicerContext) -> bytes:
        request = pb.SendRequest.FromString(message)
        self.sends.append(request)
        for envelope in request.envelopes.batch:
            keys, key = self.held[envelope.source_id], envelope.timestamp
            while key in keys:
                key += 1
            keys[key] = envelope
        return pb.SendResponse().SerializeToString()

    def read(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        request = pb.ReadRequest.FromString(message)
        self.reads.append(request)
        if request.limit > 1000:
            context.abort(grpc.StatusCode.UNKNOWN, f"limit ({request.limit}) must be 1000 or less")
        end = request.end_time or time.time_ns()
        wanted = set(request.envelope_types) - {pb.ANY}
        found = [
            envelope
            for key, envelope in sorted(self.held[request.source_id].items(), reverse=request.descending)
            if request.start_time <= key < end and _is_of(envelope, wanted)
        ]
        return pb.ReadResponse(envelopes={"batch": found[: request.limit or 100]}).SerializeToString()

    def meta(self, message: bytes, _: grpc.ServicerContext) -> bytes:
        self.metas.append(pb.MetaRequest.FromString(message))
        if self.garbled:
            return b"\xff"
        response = pb.MetaResponse()
        for source, keys in self.held.items():
            response.meta[source].count = len(keys)
            response.meta[source].oldest_timestamp = min(keys)
            response.meta[source].newest_timestamp = max(keys)
        return response.SerializeToString()


@contextmanager
def original_log_cache(certs: Path) -> Iterator[OriginalLogCache]:
    """Run a node for the time of the block."""
    node = OriginalLogCache()
    ingress = {"Send": grpc.unary_unary_rpc_method_handler(node.send)}
    egress: dict[str, Any] = {name: grpc.unary_unary_rpc_method_handler(getattr(node, name.lower())) for name in _READS}
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("logcache.v1.Ingress", ingress),
            grpc.method_handlers_generic_handler("logcache.v1.Egress", egress),
        )
    )
    port = server.add_secure_port("127.0.0.1:0", grpc_server_credentials(TlsFiles.named(certs, "log-cache")))
    server.start()
    node.address = f"127.0.0.1:{port}"
    try:
        yield node
    finally:
        server.stop(0).wait()


_READS = ("Read", "Meta")


def _is_of(envelope: Envelope, wanted: set[int]) -> bool:
    message = envelope.WhichOneof("message")
    return not wanted or (message is not None and _TYPES[message] in wanted)
