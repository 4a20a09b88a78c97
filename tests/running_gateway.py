"""A gateway on a real doppler for the time of a test, and its streams, read event by event."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import h11
import httpx
import trio
from google.protobuf import json_format

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.config import parse_listen
from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from plumbing.tokens import TokenStore
from tests.running import accounts, dial, metric, metric_is, readers_at, running, send_over

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"


@dataclass
class Event:
    """One block of a stream, as a browser's EventSource would take it."""

    kind: str
    data: str
    id: str
    comments: list[str]

    @property
    def payloads(self) -> list[bytes]:
        return [envelope.log.payload for envelope in self.batch.batch]

    @property
    def batch(self) -> v2.EnvelopeBatch:
        return json_format.Parse(self.data, v2.EnvelopeBatch())


@dataclass
class Gateway:
    """A doppler, a reverse log proxy with a gateway on it, and what a client needs."""

    doppler: Ports
    proxy: Ports
    certs: Path
    tokens: TokenStore
    channel: grpc.Channel
    context: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://{self.proxy['gateway']}"

    def admin(self) -> str:
        return self.tokens.ensure_admin_token(time.time()).read_text()

    def headers(self, token: str | None = "", last_id: str = "") -> dict[str, str]:
        token = self.admin() if token == "" else token
        headers = {} if token is None else {"Authorization": f"bearer {token}"}
        return headers | ({"Last-Event-ID": last_id} if last_id else {})

    @asynccontextmanager
    async def open(self, target: str = "/v2/read?log", **who: str | None) -> AsyncIterator[Reading]:
        """Open a stream; leaving it breaks its connection."""
        tcp = await trio.open_tcp_stream(*parse_listen(self.proxy["gateway"]))
        stream = trio.SSLStream(tcp, self.context, server_hostname="127.0.0.1", https_compatible=True)
        try:
            reading = Reading(stream)
            await reading.ask(target, self.headers(**who))
            assert reading.answer.status_code == 200
            yield reading
        finally:
            await trio.aclose_forcefully(stream)

    async def ask(self, target: str, method: str = "GET", **who: str | None) -> httpx.Response:
        async with httpx.AsyncClient(verify=self.context, trust_env=False, timeout=20) as client:
            return await client.request(method, self.url + target, headers=self.headers(**who))

    async def send(self, *envelopes: v2.Envelope) -> None:
        """Send to the doppler as an agent does, and wait for its answer."""
        await send_over(self.channel, *envelopes)

    async def subscribed(self, count: int = 1) -> None:
        """Wait until so many streams are open at the doppler."""
        await readers_at(self.doppler, self.certs, count)

    async def books(self, name: str = "gateway 1") -> dict[str, Any]:
        return (await accounts(self.proxy, self.certs))[name]

    async def metric(self, name: str) -> float:
        return await metric(self.proxy, self.certs, f"reverse_log_proxy_gateway_{name}")

    async def eventually(self, name: str, value: float) -> None:
        await metric_is(self.proxy, self.certs, f"reverse_log_proxy_gateway_{name}", value)


class Reading:
    """A stream that is read event by event."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.last_id = ""
        self.stream = stream
        self.answer: h11.Response
        self._http = h11.Connection(h11.CLIENT)
        self._text = ""
        self._ended = False

    async def ask(self, target: str, headers: dict[str, str]) -> None:
        request = h11.Request(method="GET", target=target, headers=[("Host", "x"), *headers.items()])
        await self.stream.send_all(self._http.send(request) + self._http.send(h11.EndOfMessage()))
        with trio.fail_after(10):
            answer = await self._next()
        assert isinstance(answer, h11.Response)
        self.answer = answer

    async def line(self) -> str | None:
        """Read one line; None at the end of the answer."""
        while "\n" not in self._text and not self._ended:
            part = await self._next()
            self._ended = isinstance(part, h11.EndOfMessage)
            self._text += part.data.decode() if isinstance(part, h11.Data) else ""
        line, end, self._text = self._text.partition("\n")
        return line if end else None

    async def _next(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self.stream.receive_some())
        return event

    async def event(self, *, within_s: float = 10) -> Event:
        """Read up to the next empty line that ends something."""
        event = Event("message", "", "", [])
        with trio.fail_after(within_s):
            while (line := await self.line()) is not None:
                name, _, value = line.partition(": ")
                if not line and (event.data or event.comments):
                    return event
                if line.startswith(":"):
                    event.comments.append(value)
                elif name == "event":
                    event.kind = value
                elif name == "data":
                    event.data += value
                elif name == "id":
                    event.id = self.last_id = value
        raise EOFError

    async def payloads(self, count: int) -> list[bytes]:
        payloads: list[bytes] = []
        while len(payloads) < count:
            payloads += (await self.event()).payloads
        return payloads

    async def rest(self) -> str:
        """Read to the end of the answer."""
        lines: list[str] = []
        with trio.fail_after(10):
            while (line := await self.line()) is not None:
                lines.append(line)
        return "\n".join(lines)


@asynccontextmanager
async def open_gateway(certs: Path, tmp_path: Path, *, doppler: Any = None, **own: Any) -> AsyncIterator[Gateway]:
    tokens = TokenStore(tmp_path / "tokens")
    tokens.ensure_admin_token(time.time())
    async with running("doppler", certs, **{"drain_grace_s": 0.5, **(doppler or {})}) as doppler_ports:
        settings = {
            "doppler_addresses": [doppler_ports["listen"]],
            "gateway": {"enabled": True, "listen": "127.0.0.1:0", **own},
            "auth": {"tokens_dir": tmp_path / "tokens"},
            "drain_grace_s": 0.5,
        }
        async with running("reverse_log_proxy", certs, **settings) as ports:
            with dial(doppler_ports["listen"], certs, "doppler") as channel:
                context = client_context(certs / "ca.crt")
                yield Gateway(doppler_ports, ports, certs, tokens, channel, context)


def logs(payloads: Iterable[bytes], source: str = APP) -> list[v2.Envelope]:
    return [v2.Envelope(source_id=source, timestamp=1, log={"payload": payload}) for payload in payloads]


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last + 1)]
