"""A traffic controller without Dopplers for the time of a test, asked over raw TLS."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import trio

from envelope.pb import dropsonde_pb2 as v1
from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from plumbing.tokens import TokenStore
from tests.noaa import parts_of
from tests.running import get, running

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"


@dataclass
class Reply:
    """What came back until the server hung up."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def parts(self) -> list[v1.Envelope]:
        return [v1.Envelope.FromString(part) for part in parts_of(self.headers["content-type"], self.body)]


@dataclass
class Controller:
    """A traffic controller without Dopplers, and the tokens it takes."""

    ports: Ports
    certs: Path
    tokens: TokenStore

    def token(self, *sources: str) -> str:
        if not sources:
            return self.tokens.ensure_admin_token(time.time()).read_text()
        return self.tokens.create(scopes=[], sources=list(sources), expires_in_s=None, now=time.time())

    async def dial(self) -> trio.SSLStream[trio.SocketStream]:
        host, _, port = self.ports["listen"].rpartition(":")
        raw = await trio.open_tcp_stream(host, int(port))
        context = client_context(self.certs / "ca.crt")
        stream = trio.SSLStream(raw, context, server_hostname=host, https_compatible=True)
        await stream.do_handshake()
        return stream

    async def send(self, raw: bytes, *more: bytes, method: str = "GET") -> Reply:
        """Send bytes as they are; reads all that comes back."""
        stream = await self.dial()
        received = b""
        with trio.fail_after(10):
            for piece in (raw, *more):
                await stream.send_all(piece)
            while arrived := await stream.receive_some(65536):
                received += arrived
        await trio.aclose_forcefully(stream)
        return _reply(received, method)

    async def ask(
        self, target: str, *headers: str, method: str = "GET", token: str | None = None, body: str = ""
    ) -> Reply:
        """Make one request of HTTP/1.1."""
        lines = [f"{method} {target} HTTP/1.1", "Host: doppler.sys.example", *headers]
        lines += [f"Authorization: bearer {token}"] if token else []
        lines += [f"Content-Length: {len(body)}"] if body else []
        return await self.send("\r\n".join([*lines, "", body]).encode("latin-1"), method=method)

    async def refusals(self, status: int) -> float:
        metrics = await get(self.ports, self.certs, "/metrics")
        sample = f'traffic_controller_requests_refused_total{{status="{status}"}} '
        return next((float(line.removeprefix(sample)) for line in metrics.splitlines() if line.startswith(sample)), 0)


def _reply(received: bytes, method: str) -> Reply:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(received)
    client.receive_data(b"")
    head, body = None, b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
    assert head is not None
    return Reply(head.status_code, {name.decode(): value.decode("latin-1") for name, value in head.headers}, body)


@asynccontextmanager
async def open_controller(certs: Path, tmp_path: Path, **settings: Any) -> AsyncIterator[Controller]:
    tokens = TokenStore(tmp_path / "tokens")
    tokens.ensure_admin_token(time.time())
    defaults = {
        "doppler_addresses": ["127.0.0.1:9"],
        "auth": {"tokens_dir": tmp_path / "tokens"},
        "drain_grace_s": 0.5,
        "system_domain": "sys.example",
    }
    async with running("traffic_controller", certs, **{**defaults, **settings}) as ports:
        yield Controller(ports, certs, tokens)
