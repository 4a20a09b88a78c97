"""Send requests of OTLP over gRPC, and tell what its errors mean for a batch."""

from __future__ import annotations

from functools import partial

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError as ProtobufDecodeError

from envelope.errors import DecodeError
from envelope.wire import WireType, fields
from nozzles.otlp.config import GrpcSettings
from nozzles.otlp.signals import Signal
from nozzles.sdk import SinkDenied, SinkRefused, SinkUnavailable
from plumbing.grpc_client import PeerUnavailable
from plumbing.island import Island
from plumbing.tls import TlsFiles
from plumbing.unary_client import CallFailed, Stranger, UnaryClient

_ANSWER_BYTES = 1 << 20
_MOST_RETRY_S = 300.0  # the longest that a collector's wish is heeded
_RETRYABLE = frozenset(("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"))
_DENIED = frozenset(("UNAUTHENTICATED", "PERMISSION_DENIED"))  # by somebody who can be told who we are
_REMEDY = "mend tls_cert and tls_key, or what the collector lets us do"
_RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"
_FIRST = 1 << 3 | WireType.LENGTH_DELIMITED
_SECOND = 2 << 3 | WireType.LENGTH_DELIMITED
_THIRD = 3 << 3 | WireType.LENGTH_DELIMITED


class GrpcCollector:
    """A collector at the other end of a connection that lives on the island."""

    def __init__(self, island: Island, settings: GrpcSettings) -> None:
        self._island = island
        self._timeout_s = settings.timeout_s
        self._client = UnaryClient(
            settings.address, _tls(settings), settings.server_name, max_receive_bytes=_ANSWER_BYTES
        )

    async def export(self, signal: Signal, request: bytes) -> bytes:
        """Send one request and return the answer; raises `SinkUnavailable` or `SinkRefused` as OTLP wants it."""
        try:
            ask = partial(self._client.ask, signal.method, request, timeout_s=self._timeout_s)
            reply = await self._island.run(ask)
        except PeerUnavailable as error:
            raise SinkUnavailable(str(error)) from error
        except CallFailed as error:
            raise judged(error) from error
        return reply.message

    async def close(self) -> None:
        """Hang up."""
        await self._island.run(self._client.close)


def judged(error: CallFailed) -> SinkUnavailable | SinkRefused:
    """Say whether to try again, as the specification of OTLP does.

    A collector whose resources are exhausted says when to come again, or will not take a request this large. Unlike
    there, one that does not let us in is tried again: who runs it, or us, can mend that.
    """
    message = f"{error.code}: {error}"
    wait_s = retry_after_s(error.details)
    if error.code in _RETRYABLE or (error.code == "RESOURCE_EXHAUSTED" and wait_s is not None):
        return SinkUnavailable(message, retry_after_s=wait_s)
    if error.code == "RESOURCE_EXHAUSTED":
        return SinkRefused(message, reason="too_large")
    return SinkDenied(f"{message}; {_REMEDY}") if error.code in _DENIED else SinkRefused(message)


def retry_after_s(status: bytes) -> float | None:
    """Find the delay of a `RetryInfo` in a serialised `google.rpc.Status`, at most five minutes; None without one."""
    try:
        for detail in _all(status, _THIRD):
            if _last(detail, _FIRST) == _RETRY_INFO:
                delay = Duration.FromString(_last(_last(detail, _SECOND), _FIRST))
                return min(max(delay.seconds + delay.nanos / 1e9, 0.0), _MOST_RETRY_S)
    except (DecodeError, ProtobufDecodeError):
        return None
    return None


def _all(message: bytes, tag: int) -> list[bytes]:
    return [message[field.body : field.end] for field in fields(message) if field.tag == tag]


def _last(message: bytes, tag: int) -> bytes:
    return (_all(message, tag) or [b""])[-1]


def _tls(settings: GrpcSettings) -> Stranger:
    shown = None
    if settings.tls_ca and settings.tls_cert and settings.tls_key:
        shown = TlsFiles(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
    return Stranger(settings.tls_ca, shown, settings.plaintext)
