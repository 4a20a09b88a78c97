"""Dial gRPC from the island: channels, and foreign errors translated once."""

from __future__ import annotations

import asyncio
import random

import grpc

from plumbing.grpc_server import MAX_MESSAGE_BYTES
from plumbing.tls import TlsError, TlsFiles, grpc_channel_credentials

CONNECT_TIMEOUT_S = 5.0
LEGACY_AFTER_S = 1.0  # an original peer sends no headers before its first message
_CALL_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_send_message_length", -1),
    # The ping policy of the original clients (loggregator.md 0.1): servers allow one every 10 s.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
]


class PeerUnavailable(ConnectionError):
    """The peer cannot be reached, or went away: retry with backoff and jitter."""


class PeerRefused(PermissionError):
    """The peer answered, and will not serve this call: retrying at once is of no use."""


_REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


CALL_FAILURES = (grpc.RpcError, asyncio.InvalidStateError)
"""What a call raises when its peer is gone: gRPC has no error of its own for a write on a call that has ended."""


def translate(error: Exception, address: str) -> PeerUnavailable | PeerRefused:
    """Turn gRPC's error into ours, naming the peer."""
    code = error.code() if isinstance(error, grpc.aio.AioRpcError) else None
    details = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
    kind = PeerRefused if code in _REFUSALS else PeerUnavailable
    return kind(f"{address}: {code.name if code else 'error'}: {details}")


def open_channel(
    address: str, tls: TlsFiles, server_name: str, *, max_receive_bytes: int = 2 * MAX_MESSAGE_BYTES
) -> grpc.aio.Channel:
    """Open a channel to `host:port` whose certificate must carry `server_name` (loggregator.md 0.1).

    By default it receives what a Doppler took in, and what that has to say about it: a message that we refuse would
    come again and again.

    Call it on the island. Our own certificate and key are read anew; while they are being replaced they may make no
    pair, or not be there: that too raises `PeerUnavailable`, for it may work the next time.
    """
    options = [
        *_CALL_OPTIONS,
        ("grpc.max_receive_message_length", max_receive_bytes),
        ("grpc.ssl_target_name_override", server_name),
        ("grpc.default_authority", server_name),
    ]
    try:
        credentials = grpc_channel_credentials(tls)
    except (TlsError, OSError) as error:
        raise PeerUnavailable(f"{address}: not dialled: {error}") from error
    return grpc.aio.secure_channel(address, credentials, options=options)


async def connected(channel: grpc.aio.Channel, address: str) -> None:
    """Wait until the channel is connected; raises `PeerUnavailable` after `CONNECT_TIMEOUT_S`."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await channel.channel_ready()
    except TimeoutError:
        raise PeerUnavailable(f"{address}: no connection within {CONNECT_TIMEOUT_S:g} s") from None


async def granted(call: grpc.aio.StreamStreamCall) -> frozenset[tuple[str, str]]:
    """Say what the peer's headers grant (`plumbing.acks`); one that sends none for long is taken for an original."""
    try:
        async with asyncio.timeout(LEGACY_AFTER_S):
            return frozenset((key, value) for key, value in await call.initial_metadata() or ())
    except TimeoutError:
        return frozenset()


class Backoff:
    """Waiting times between attempts: doubling, with full jitter, so that many peers do not come back at once."""

    def __init__(self, rng: random.Random, *, first_s: float = 0.2, most_s: float = 2.0) -> None:
        self._rng = rng
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    def reset(self) -> None:
        """It worked: begin anew."""
        self._next_s = self._first_s

    def next_s(self) -> float:
        """Say how long to wait before the next attempt."""
        bound, self._next_s = self._next_s, min(self._next_s * 2, self._most_s)
        return self._rng.uniform(bound / 2, bound)
