"""Ask a peer questions over gRPC, one answer each: bytes there, bytes back, and what the trailing metadata say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import grpc

from plumbing.grpc_client import CALL_FAILURES, connected, open_channel, translate
from plumbing.tls import TlsFiles


class Reply(NamedTuple):
    """What a peer answered."""

    message: bytes
    metadata: Mapping[str, str]
    """The trailing ones, of text alone."""


class CallFailed(Exception):
    """The peer answered with an error: `code` is gRPC's name for it, the message what the peer said."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnaryClient:
    """A connection to one peer, opened when it is needed. Lives on the island."""

    def __init__(self, address: str, tls: TlsFiles, server_name: str, *, max_receive_bytes: int) -> None:
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
            raise CallFailed(error.code().name, error.details() or "") from error
        except CALL_FAILURES as error:
            raise translate(error, self.address) from error
        return Reply(answer, {key: value for key, value in trailing if isinstance(value, str)})

    async def close(self) -> None:
        """Hang up."""
        if self._channel is not None:
            await self._channel.close()

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = open_channel(
                self.address, self._tls, self._server_name, max_receive_bytes=self._max_receive_bytes
            )
        return self._channel
