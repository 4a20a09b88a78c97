"""A receiver of the Forward protocol v1, written from its specification: it shakes hands, unpacks, and acknowledges.

It can be told to acknowledge nothing, to hang up after so many chunks, or to answer nonsense.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgpack
import trio

NONCE, AUTH = b"\x01nonce\xff", b"auth-salt"


@dataclass
class Event:
    """One event as it arrived, its time in nanoseconds."""

    tag: str
    time_ns: int
    record: dict[str, Any]


@dataclass
class FluentServer:
    """What arrived, and how the receiver behaves."""

    address: str = ""
    shared_key: str = ""
    hostname: str = "receiver"
    users: dict[str, str] = field(default_factory=dict)
    acknowledges: bool = True
    hangs_up_after: int | None = None
    answer: bytes | None = None
    """Bytes to say to a chunk in the place of its acknowledgement."""
    proof_key: str | None = None
    """The key in PONG, where it is not the right one."""

    events: list[Event] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    acknowledged: int = 0

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one connection."""
        self.connections += 1
        unpacker = msgpack.Unpacker(raw=False)
        try:
            if self.shared_key and not await self._shake_hands(stream, unpacker):
                return
            while (message := await _next(stream, unpacker)) is not None:
                await self._take(stream, message)
                if self.hangs_up_after is not None and self.acknowledged >= self.hangs_up_after:
                    self.hangs_up_after = None
                    return
        except (trio.BrokenResourceError, ssl.SSLError):
            pass  # the sender went away
        finally:
            await trio.aclose_forcefully(stream)

    async def _take(self, stream: trio.abc.Stream, message: list[Any]) -> None:
        tag, entries, option = message
        assert isinstance(entries, bytes)
        self.options.append(option)
        if not self.acknowledges:
            return
        if option.get("compressed") == "gzip":
            entries = gzip.decompress(entries)
        events = [Event(tag, _ns(time), record) for time, record in msgpack.Unpacker(io.BytesIO(entries), raw=False)]
        assert len(events) == option["size"]
        self.events += events
        self.acknowledged += 1
        await stream.send_all(self.answer or msgpack.packb({"ack": option["chunk"]}))

    async def _shake_hands(self, stream: trio.abc.Stream, unpacker: Any) -> bool:
        auth = AUTH if self.users else b""
        await stream.send_all(msgpack.packb(["HELO", {"nonce": NONCE, "auth": auth, "keepalive": True}]))
        ping = await _next(stream, unpacker)
        if ping is None:
            return False
        word, hostname, salt, digest, user, password = ping
        assert word == "PING"
        reason = ""
        if digest != _digest(salt, hostname.encode(), NONCE, self.shared_key.encode()):
            reason = "shared_key mismatch"
        elif self.users and password != _digest(AUTH, user.encode(), self.users.get(user, "").encode()):
            reason = "username/password mismatch"
        key = (self.proof_key or self.shared_key).encode()
        proof = "" if reason else _digest(salt, self.hostname.encode(), NONCE, key)
        await stream.send_all(msgpack.packb(["PONG", not reason, reason, "" if reason else self.hostname, proof]))
        return not reason


@asynccontextmanager
async def running_fluent(server: FluentServer, tls: ssl.SSLContext | None = None) -> AsyncIterator[FluentServer]:
    """Run a receiver on a free port."""

    async def serve(stream: trio.SocketStream) -> None:
        await server.serve(trio.SSLStream(stream, tls, server_side=True, https_compatible=True) if tls else stream)

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server.address = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        try:
            yield server
        finally:
            nursery.cancel_scope.cancel()


async def _next(stream: trio.abc.Stream, unpacker: Any) -> Any:
    while True:
        try:
            return next(unpacker)
        except StopIteration:
            received = await stream.receive_some(65536)
            if not received:
                return None
            unpacker.feed(received)


def _digest(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()


def _ns(time: Any) -> int:
    if isinstance(time, int):
        return time * 1_000_000_000
    assert (time.code, len(time.data)) == (0, 8)
    seconds, ns = struct.unpack(">II", time.data)
    return int(seconds * 1_000_000_000 + ns)
