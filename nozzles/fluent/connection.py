"""One connection to a receiver of the Forward protocol: chunks go out, acknowledgements come in."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it ships no types
import trio

from nozzles.fluent.config import Config
from nozzles.fluent.events import Chunk
from nozzles.fluent.handshake import Credentials, check_pong, ping
from plumbing.config import parse_listen
from plumbing.tls import client_context

_MOST_ANSWER_BYTES = 64 * 1024  # the receiver says only short things: HELO, PONG, {"ack": …}


class ConnectionLost(Exception):
    """The receiver went away, or says what makes no sense."""


class Connection:
    """A stream of messages both ways; broken for good once anything goes wrong."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._unpacker = msgpack.Unpacker(raw=False, max_buffer_size=_MOST_ANSWER_BYTES)

    @classmethod
    async def open(cls, config: Config, credentials: Credentials | None) -> Connection:
        """Connect, over TLS if need be, and shake hands if there is a key."""
        host, port = parse_listen(config.address)
        stream: trio.abc.Stream = await trio.open_tcp_stream(host, port)
        try:
            if config.tls_ca:
                context = client_context(config.tls_ca, config.tls_cert, config.tls_key)
                tls = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
                stream = tls
                await tls.do_handshake()
            connection = cls(stream)
            if credentials:
                await connection._shake_hands(credentials)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return connection

    async def close(self) -> None:
        """Hang up."""
        await trio.aclose_forcefully(self._stream)

    async def deliver(self, chunks: Iterable[Chunk], *, compress: bool, safe: list[int]) -> None:
        """Send chunks, and add to `safe` the places of what the receiver acknowledges; return when that is all."""
        awaited = {secrets.token_urlsafe(16): chunk for chunk in chunks}
        async with trio.open_nursery() as nursery:  # answers are taken meanwhile: neither side ever waits for the other
            nursery.start_soon(self._send_all, dict(awaited), compress)
            while awaited:
                match await self._next():
                    case {"ack": str() as name}:
                        chunk = awaited.pop(name, None)
                        safe += chunk.places if chunk else []
                    case _:
                        raise ConnectionLost("the receiver says something that is no acknowledgement")

    async def _send_all(self, chunks: dict[str, Chunk], compress: bool) -> None:
        for name, chunk in chunks.items():
            option: dict[str, Any] = {"size": len(chunk.places), "chunk": name}
            entries = chunk.entries
            if compress:
                entries = await trio.to_thread.run_sync(partial(gzip.compress, entries, compresslevel=1, mtime=0))
                option["compressed"] = "gzip"
            await self._stream.send_all(msgpack.packb([chunk.tag, entries, option]))

    async def _shake_hands(self, credentials: Credentials) -> None:
        salt = secrets.token_bytes(16)
        greeting, nonce = ping(await self._next(), credentials, salt)
        await self._stream.send_all(msgpack.packb(greeting))
        check_pong(await self._next(), credentials, salt, nonce)

    async def _next(self) -> Any:
        """Return the next thing that the receiver says, of 64 KiB at most."""
        while True:
            try:
                return next(self._unpacker)
            except StopIteration:
                received = await self._stream.receive_some(_MOST_ANSWER_BYTES // 2)
            except (ValueError, msgpack.UnpackException) as error:
                raise ConnectionLost("the receiver says something that is no msgpack") from error
            if not received:
                raise ConnectionLost("the receiver hung up")
            try:
                self._unpacker.feed(received)
            except msgpack.BufferFull as error:
                raise ConnectionLost(f"the receiver says more than {_MOST_ANSWER_BYTES} bytes at once") from error
