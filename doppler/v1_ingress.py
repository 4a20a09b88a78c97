"""Take v1 envelopes from original agents: the gRPC service `plumbing.DopplerIngestor` (loggregator.md 1.8, 2.3).

In:    `Pusher` streams, one envelope to a message, over mTLS.
Out:   `accept(pushed)` on the island's thread; what arrives at the same moment comes together.
Drops: what is no v1 envelope, counted in `IngressCounts.malformed`; the stream goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from google.protobuf.message import DecodeError as ProtobufDecodeError

from envelope.errors import DecodeError
from envelope.pb.dropsonde_pb2 import Envelope as V1Envelope
from envelope.pb.plumbing_pb2 import EnvelopeData
from envelope.v1_required import read_v1
from plumbing.grpc_server import Service
from plumbing.ingress_server import ClientStreams, IngressCounts

INGESTOR = "plumbing.DopplerIngestor"
JOINED_BYTES = 256 << 10  # at most this, and one envelope, waits to be accepted together


class Pushed(NamedTuple):
    """A v1 envelope, and the bytes it came as."""

    payload: bytes
    envelope: V1Envelope


class V1Ingress:
    """The service's method around one `accept`."""

    def __init__(self, accept: Callable[[list[Pushed]], None], counts: IngressCounts) -> None:
        self._accept = accept
        self._counts = counts
        self._streams = ClientStreams(counts)
        self._waiting: list[Pushed] = []
        self._waiting_bytes = 0

    def service(self) -> Service:
        """Give the method to be served under the name `INGESTOR`."""
        return {"Pusher": self._streams.method(self._take)}

    def close(self) -> None:
        """Finish every open stream in good order and take no new one."""
        self._streams.close()
        self._flush()

    @property
    def held(self) -> int:
        """Envelopes that wait, for this turn of the loop, to be accepted together."""
        return len(self._waiting)

    def _take(self, message: bytes) -> None:
        self._counts.messages += 1
        self._counts.received += 1
        try:
            pushed = read_pushed(message)
        except DecodeError:
            self._counts.malformed += 1
            raise
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(pushed)
        self._waiting_bytes += len(pushed.payload)
        if self._waiting_bytes >= JOINED_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            pushed, self._waiting, self._waiting_bytes = self._waiting, [], 0
            self._accept(pushed)


def read_pushed(message: bytes) -> Pushed:
    """Read a serialised `EnvelopeData`; raises `DecodeError` unless it holds an envelope with all that v1 requires."""
    try:
        payload = EnvelopeData.FromString(message).payload
    except ProtobufDecodeError as error:
        raise DecodeError(f"not a v1 envelope: {error}") from error
    return Pushed(payload, read_v1(payload))
