"""The client library `noaa` as servers see it, written after its code (loggregator.md 3.1): dials, retries, parses."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

import httpx
import trio
from google.protobuf.message import DecodeError
from websockets.frames import Frame, Opcode

from envelope.pb import dropsonde_pb2 as v1
from tests.raw_http import Reply, Stream, dial, exchange, request

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_SHOWN = 1024  # bytes of a refusal's body that are read


class NotOk(Exception):
    """Any other status than those below."""


class BadRequest(NotOk):
    """The status 400."""


class Unauthorized(NotOk):
    """The status 401; says what the body said."""


class BadResponse(NotOk):
    """An answer without a boundary."""


class Closed(Exception):
    """The server said goodbye, or hung up without (1006)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code


@dataclass
class WebSocket:
    """The client of the library that `noaa` uses: answers pings and goodbyes while it reads, and at no other time."""

    stream: Stream
    arrived: bytes
    pinged: int = 0

    async def message(self) -> bytes:
        """Return the next message, or raise `Closed`."""
        while True:
            opcode, payload = await self.frame()
            if opcode is Opcode.PING:
                self.pinged += 1
                await self._say(Opcode.PONG, payload)
            elif opcode is Opcode.CLOSE:
                with suppress(Closed):
                    await self._say(Opcode.CLOSE, payload[:2])
                await trio.aclose_forcefully(self.stream)
                raise Closed(int.from_bytes(payload[:2], "big") or 1005, payload[2:].decode())
            elif opcode is not Opcode.PONG:
                assert opcode is Opcode.BINARY  # envelopes come in nothing else
                return payload

    async def close(self) -> None:
        """Say goodbye, and hang up without waiting for an answer."""
        await self._say(Opcode.CLOSE, (1000).to_bytes(2, "big"))
        await trio.aclose_forcefully(self.stream)

    async def _say(self, opcode: Opcode, payload: bytes) -> None:
        try:
            await self.stream.send_all(Frame(opcode, payload).serialize(mask=True))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Closed(1006, "broken pipe") from error

    async def frame(self) -> tuple[Opcode, bytes]:
        """Return the next frame, or raise `Closed`."""
        first, second = await self._exactly(2)
        assert first & 0xF0 == 0x80  # whole messages, no extensions
        assert second < 0x80  # a server does not mask
        if second >= 126:
            second = int.from_bytes(await self._exactly(2 if second == 126 else 8), "big")
        return Opcode(first & 0x0F), await self._exactly(second)

    async def _exactly(self, size: int) -> bytes:
        while len(self.arrived) < size:
            try:
                arrived = await self.stream.receive_some(65536)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise Closed(1006, "unexpected EOF") from error
            if not arrived:
                raise Closed(1006, "unexpected EOF")
            self.arrived += arrived
        taken, self.arrived = self.arrived[:size], self.arrived[size:]
        return taken


Heard = Callable[[v1.Envelope], None]


@dataclass
class Consumer:
    """One consumer; `url` is that of a traffic controller, as `wss://host:port`."""

    url: str
    trusting: ssl.SSLContext
    refresher: Callable[[], str] | None = None
    min_retry_s: float = 0.5
    max_retry_s: float = 60.0
    max_retries: int = 1000
    sleep: Callable[[float], object] = lambda _: None
    errors: list[Exception] = field(default_factory=list)
    connects: int = 0
    socket: WebSocket | None = None

    async def firehose(self, subscription: str, token: str, heard: Heard, *, kind: str = "") -> None:
        """Hear everything, or `logs` or `metrics`; connect again and again."""
        query = f"filter-type={kind}" if kind else ""
        await self._again_and_again(f"/firehose/{subscription}?{query}", token, heard)

    async def stream(self, app: str, token: str, heard: Heard) -> None:
        """Hear one app; connect again and again."""
        await self._again_and_again(f"/apps/{app}/stream", token, heard)

    async def recent_logs(self, app: str, token: str) -> list[v1.LogMessage]:
        """Ask for the last lines of an app."""
        return [envelope.logMessage for envelope in await self._read(app, "recentlogs", token)]

    async def container_metrics(self, app: str, token: str) -> list[v1.ContainerMetric]:
        """Ask for the newest metrics of an app, by instance."""
        metrics = [envelope.containerMetric for envelope in await self._read(app, "containermetrics", token)]
        return sorted(metrics, key=lambda metric: metric.instanceIndex)

    async def dial(self, path: str, token: str) -> WebSocket:
        """Connect once; ask for another token, if there is somebody to ask, when this one is refused."""
        try:
            self.socket = await self._dial(path, token or self._refreshed())
        except Unauthorized:
            if self.refresher is None:
                raise
            self.socket = await self._dial(path, self._refreshed())
        self.connects += 1
        return self.socket

    def _refreshed(self) -> str:
        return self.refresher() if self.refresher else ""

    async def _dial(self, path: str, token: str) -> WebSocket:
        address = urlsplit(self.url).netloc
        key = base64.b64encode(os.urandom(16)).decode()
        headers = (
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        )
        asked = request(path, *headers, f"Origin: {self.url}", f"Authorization: {token}")
        with trio.fail_after(10):
            stream = await dial(address, self.trusting)
            reply = await exchange(stream, asked)
        if reply.status != 101:
            await trio.aclose_forcefully(stream)
            raise _refused(reply)
        accept = base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()
        assert reply.headers["sec-websocket-accept"] == accept
        assert (reply.headers["upgrade"].lower(), reply.headers["connection"].lower()) == ("websocket", "upgrade")
        assert not reply.headers.keys() & {"sec-websocket-protocol", "sec-websocket-extensions"}
        return WebSocket(stream, reply.rest)

    async def _again_and_again(self, path: str, token: str, heard: Heard) -> None:
        pause_s = self.min_retry_s
        for _ in count() if self.max_retries < 0 else range(self.max_retries):
            try:
                socket = await self.dial(path, token)
                pause_s = self.min_retry_s
                await self._listen(socket, heard)
            except (NotOk, Closed, OSError, trio.BrokenResourceError) as error:
                self.errors.append(error)
            self.sleep(pause_s)
            await trio.sleep(0.01)  # and not as long as that
            pause_s = min(2 * pause_s, self.max_retry_s)

    async def _listen(self, socket: WebSocket, heard: Heard) -> None:
        try:
            while True:
                envelope = v1.Envelope()
                try:
                    envelope.ParseFromString(await socket.message())
                except DecodeError:
                    continue
                heard(envelope)
        finally:
            await trio.aclose_forcefully(socket.stream)

    async def _read(self, app: str, what: str, token: str) -> list[v1.Envelope]:
        url = f"https://{urlsplit(self.url).netloc}/apps/{app}/{what}"
        async with httpx.AsyncClient(verify=self.trusting, trust_env=False) as client:
            answer = await client.get(url, headers={"Authorization": token})
            if answer.status_code == 401 and self.refresher is not None:
                answer = await client.get(url, headers={"Authorization": self._refreshed()})
        if answer.status_code != 200:
            raise _refused(Reply(answer.status_code, dict(answer.headers), answer.content))
        return [
            v1.Envelope.FromString(part) for part in parts_of(answer.headers.get("content-type", ""), answer.content)
        ]


def _refused(reply: Reply) -> NotOk:
    kind = {400: BadRequest, 401: Unauthorized}.get(reply.status, NotOk)
    return kind(reply.status, reply.body[:_SHOWN].decode())


def parts_of(content_type: str, body: bytes) -> list[bytes]:
    """Find the boundary by its expression, and return the parts, which have no headers."""
    match = re.search("boundary=(.*)", content_type)
    if match is None or not match[1].strip():
        raise BadResponse(content_type)
    delimiter = b"--" + match[1].encode()
    before, *parts, after = (b"\r\n" + body).split(b"\r\n" + delimiter)
    assert (before, after) == (b"", b"--\r\n")
    assert all(part.startswith(b"\r\n\r\n") for part in parts)
    return [part.removeprefix(b"\r\n\r\n") for part in parts]
