"""Drains to write to: real servers on 127.0.0.1 that keep what they get."""

import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from envelope.pb.loggregator_v2_pb2 import Envelope
from plumbing.tls import TlsFiles, server_context
from syslog_adapter.binding import Binding
from syslog_adapter.drain_url import DrainUrl, parse_drain_url
from syslog_adapter.writers import WriterSettings
from tests.strategies import batch_of

WITHIN_S = 30


@dataclass
class Drain:
    """What came to a server: the bytes of each connection, or the requests."""

    port: int = 0
    connections: list[bytearray] = field(default_factory=list)
    open: list[trio.abc.Stream] = field(default_factory=list)
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    """What to answer to the next requests; 200 when there is none left."""

    async def has(self, expected: bytes, connection: int = 0) -> None:
        """Wait until a connection has brought this, and nothing else."""
        with trio.fail_after(WITHIN_S):
            while len(self.connections) <= connection or bytes(self.connections[connection]) != expected:
                await trio.sleep(0.002)


def tls_server(certs_dir: Path, *, mutual: bool = False) -> ssl.SSLContext:
    return server_context(TlsFiles.named(certs_dir, "doppler"), require_client_cert=mutual)


@asynccontextmanager
async def syslog_drain(tls: ssl.SSLContext | None = None, most: float = math.inf) -> AsyncIterator[Drain]:
    """A drain that reads whatever comes, until it has `most` bytes."""
    drain = Drain()

    async def keep(stream: trio.abc.Stream) -> None:
        received = bytearray()
        drain.connections.append(received)
        drain.open.append(stream)
        try:
            while len(received) < most and (piece := await stream.receive_some(65536)):
                received += piece
            if len(received) >= most:
                await trio.sleep_forever()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with _served(drain, keep, tls):
        yield drain


@asynccontextmanager
async def https_drain(tls: ssl.SSLContext) -> AsyncIterator[Drain]:
    """A drain that takes POSTs with a Content-Length."""
    drain = Drain()

    async def answer(stream: trio.abc.Stream) -> None:
        received = b""
        try:
            while True:
                while b"\r\n\r\n" not in received:
                    piece = await stream.receive_some(65536)
                    if not piece:
                        return
                    received += piece
                head, _, received = received.partition(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                while len(received) < size:
                    received += await stream.receive_some(65536)
                drain.requests.append((head, received[:size]))
                received = received[size:]
                status = drain.answers.pop(0) if drain.answers else b"200 OK"
                await stream.send_all(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nok" % status)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with _served(drain, answer, tls):
        yield drain


@asynccontextmanager
async def _served(drain: Drain, handler: object, tls: ssl.SSLContext | None) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        drain.port = listeners[0].socket.getsockname()[1]
        wrapped = [trio.SSLListener(one, tls, https_compatible=True) for one in listeners] if tls else listeners
        nursery.start_soon(trio.serve_listeners, handler, wrapped)
        yield
        nursery.cancel_scope.cancel()


def url(drain: Drain, scheme: str, rest: str = "") -> DrainUrl:
    return parse_drain_url(f"{scheme}://127.0.0.1:{drain.port}{rest}")


def binding(certs_dir: Path | None = None, **fields: str) -> Binding:
    made = Binding(url="", source_id="app", hostname="host", **fields)
    return made if certs_dir is None else replace(made, ca=(certs_dir / "ca.crt").read_text())


def settings(**given: float) -> WriterSettings:
    return WriterSettings.model_validate(given)


def lines(*texts: str) -> bytes:
    """A batch of log lines."""
    return batch_of(*(Envelope(source_id="app", instance_id="0", log={"payload": text.encode()}) for text in texts))


def message(text: str) -> bytes:
    return b"<14>1 1970-01-01T00:00:00+00:00 host app [/0] - - %s\n" % text.encode()


def counted(*texts: str) -> bytes:
    return b"".join(b"%d %s" % (len(message(text)), message(text)) for text in texts)
