"""Ask a peer questions over gRPC, one answer each: bytes there, bytes back, and what the trailing metadata say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import grpc

from plumbing.config import parse_listen
from plumbing.grpc_client import CALL_FAILURES, PeerUnavailable, connected, open_channel, translate
from plumbing.tls import TlsError, TlsFiles, grpc_channel_credentials

_DETAILS = "grpc-status-details-bin"
_STRANGER_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
]


class Reply(NamedTuple):
    """What a peer answered."""

    message: bytes
    metadata: Mapping[str, str]
    """The trailing ones, of text alone."""


class CallFailed(Exception):
    """The peer answered with an error: `code` is gRPC's name for it, the message what the peer said.

    `details` is a serialised `google.rpc.Status`, if the peer sent one.
    """

    def __init__(self, code: str, message: str, details: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class Stranger(NamedTuple):
    """How to speak to a peer that is none of ours: it is sent no pings, which many servers hang up at."""

    ca: Path | None = None
    """Certificates of those who may sign its own; None means those that gRPC trusts."""
    shown: TlsFiles | None = None
    """The certificate that it is shown, and instead of `ca` who may sign its own; None means none."""
    plaintext: bool = False
    """Without TLS."""


class UnaryClient:
    """A connection to one peer, opened when it is needed. Lives on the island.

    An empty `server_name` means the host of the address.
    """

    def __init__(self, address: str, tls: TlsFiles | Stranger, server_name: str, *, max_receive_bytes: int) -> None:
        self.address = address
        self._tls = tls
        self._server_name = server_name
        self._max_receive_bytes = max_receive_bytes
        self._channel: grpc.aio.Channel | None = None

    async def connected(self) -> None:
        """Wait until there is a connection; raises `PeerUnavailable` when that takes too long."""
        await connected(self._open(), self.address)

    async def ask(
        self, method: str, message: bytes, *, timeout_s: float, metadata: Sequence[tuple[str, str]] = ()
    ) -> Reply:
        """Call `method` once. Raises `PeerUnavailable` when the peer is away, `CallFailed` for any other error."""
        call = self._open().unary_unary(method)(message, timeout=timeout_s, metadata=tuple(metadata))
        try:
            answer: bytes = await call
            trailing = await call.trailing_metadata() or ()
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise translate(error, self.address) from error
            raise CallFailed(error.code().name, error.details() or "", _details(error)) from error
        except CALL_FAILURES as error:
            raise translate(error, self.address) from error
        return Reply(answer, {key: value for key, value in trailing if isinstance(value, str)})

    async def close(self) -> None:
        """Hang up."""
        if self._channel is not None:
            await self._channel.close()

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = self._dial()
        return self._channel

    def _dial(self) -> grpc.aio.Channel:
        if isinstance(self._tls, TlsFiles):
            name = self._server_name or parse_listen(self.address)[0]
            return open_channel(self.address, self._tls, name, max_receive_bytes=self._max_receive_bytes)
        options: list[tuple[str, int | str]] = [
            *_STRANGER_OPTIONS,
            ("grpc.max_receive_message_length", self._max_receive_bytes),
        ]
        if self._tls.plaintext:
            return grpc.aio.insecure_channel(self.address, options=options)
        if self._server_name:
            options += [("grpc.ssl_target_name_override", self._server_name)]
        return grpc.aio.secure_channel(self.address, _credentials(self._tls, self.address), options=options)


def _credentials(stranger: Stranger, address: str) -> grpc.ChannelCredentials:
    try:
        if stranger.shown is not None:
            return grpc_channel_credentials(stranger.shown)
        return grpc.ssl_channel_credentials(stranger.ca.read_bytes() if stranger.ca else None)
    except (TlsError, OSError) as error:
        raise PeerUnavailable(f"{address}: not dialled: {error}") from error


def _details(error: grpc.aio.AioRpcError) -> bytes:
    found = dict(error.trailing_metadata() or ()).get(_DETAILS, b"")
    return found if isinstance(found, bytes) else b""
