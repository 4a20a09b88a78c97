"""A syslog adapter on a doppler for the time of a test, and a syslog server that remembers."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from syslog_adapter.config import Config
from syslog_adapter.service import serve
from tests.running import dial, readers_at, send_over, serving, tls_settings


class SyslogServer:
    """Takes octet-counted messages over TCP; each must be whole."""

    def __init__(self, listener: trio.SocketListener, tls: ssl.SSLContext | None = None) -> None:
        self.messages: list[bytes] = []
        self.connections = 0
        self._listeners = [trio.SSLListener(listener, tls, https_compatible=True) if tls else listener]
        self.port: int = listener.socket.getsockname()[1]

    def url(self, query: str = "") -> str:
        """Where it is."""
        return f"syslog://127.0.0.1:{self.port}{query}"

    def texts(self) -> list[str]:
        """What the messages say, without their headers."""
        return [message.decode().rstrip("\n").rpartition("] ")[2] for message in self.messages]

    async def serve(self) -> None:
        """Take connections until cancelled."""
        await trio.serve_listeners(self._take, self._listeners)

    async def _take(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        waiting = b""
        async for chunk in stream:
            waiting += chunk
            while b" " in waiting:
                length, _, rest = waiting.partition(b" ")
                if len(rest) < int(length):
                    break
                self.messages.append(rest[: int(length)])
                waiting = rest[int(length) :]


@asynccontextmanager
async def syslog_server() -> AsyncIterator[SyslogServer]:
    """Run one on a free port."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = SyslogServer(listener)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve)
        yield server
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def running_adapter(certs: Path, doppler: Ports, *, readers: int = 1, **settings: Any) -> AsyncIterator[Ports]:
    """Run an adapter that reads one doppler, of which it is the last of so many readers; it looks at files often."""
    defaults: dict[str, Any] = {
        **tls_settings(certs, "syslog-adapter"),
        "doppler_addresses": [doppler["listen"]],
        "file_interval_s": 0.05,
        "drain_grace_s": 1.0,
        "cache": {"enabled": True, "listen": "127.0.0.1:0"},
    }
    async with serving(serve, Config(**{**defaults, **settings})) as ports:
        await readers_at(doppler, certs, readers)
        yield ports


def bind(path: Path, *bindings: tuple[str, str], **more: str) -> None:
    """Write a file of bindings, (source_id, url) each and `more` for all, in the place of another."""
    draft = path.with_suffix(".new")
    draft.write_bytes(orjson.dumps([{"source_id": source_id, "url": url, **more} for source_id, url in bindings]))
    draft.replace(path)


async def send(doppler: Ports, certs: Path, source_id: str, *texts: str) -> None:
    """Send lines of an app."""
    envelopes = [
        v2.Envelope(source_id=source_id, instance_id="0", tags={"source_type": "APP"}, log={"payload": text.encode()})
        for text in texts
    ]
    with dial(doppler["listen"], certs, "doppler") as channel:
        await send_over(channel, *envelopes)
