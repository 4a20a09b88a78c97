"""A gRPC client of no library: it says on the wire what a test tells it to, and shows every frame that comes back."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from struct import pack
from typing import Any, TypeVar

import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, TrailersReceived

from plumbing.config import parse_listen
from plumbing.tls import TlsFiles

E = TypeVar("E", bound=Event)


def go_context(certs: Path, leaf: str | None = "client") -> ssl.SSLContext:
    """Return what a client in Go of the original's brings to a handshake; no certificate if it is of no `leaf`."""
    context = ssl.create_default_context(cafile=str(certs / "ca.crt"))
    context.hostname_checks_common_name = False  # Go looks for a DNS name in the SAN alone
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384")
    context.set_alpn_protocols(["h2"])
    if leaf is not None:
        files = TlsFiles.named(certs, leaf)
        context.load_cert_chain(files.cert, files.key)
    return context


class Http2Client:
    """One HTTP/2 connection, and all that was heard on it."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.tls = stream
        self.events: list[Event] = []
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))

    async def begin(self) -> None:
        """Shake hands, and send the preface."""
        await self.tls.do_handshake()
        self._h2.initiate_connection()
        await self._flush()

    async def call(self, path: str, *metadata: tuple[str, str]) -> int:
        """Open a stream with the headers that grpc-go sends; returns its number."""
        number = self._h2.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", path),
            (":authority", "doppler"),
            ("content-type", "application/grpc"),
            ("user-agent", "grpc-go/1.82.0"),
            ("te", "trailers"),
        ]
        self._h2.send_headers(number, [*headers, *metadata])
        await self._flush()
        return number

    async def send(self, number: int, message: bytes) -> None:
        """Send one message of a few bytes."""
        self._h2.send_data(number, pack("!BI", 0, len(message)) + message)
        await self._flush()

    async def half_close(self, number: int) -> None:
        """Say, as grpc-go does in a frame of its own that holds nothing, that no more comes."""
        self._h2.send_data(number, b"", end_stream=True)
        await self._flush()

    async def ping(self, times: int = 1) -> None:
        """Send pings, at once."""
        for _ in range(times):
            self._h2.ping(b"standing")
        await self._flush()

    async def hear(self, kind: type[E], is_it: Callable[[E], bool] = lambda event: True) -> E:
        """Read until there was such an event; returns it."""
        with trio.fail_after(10):
            while not (found := [event for event in self.heard(kind) if is_it(event)]):
                if not await self.read():
                    raise EOFError(f"closed before any {kind.__name__}: {self.events}")
        return found[-1]

    async def hear_end(self, number: int) -> None:
        """Read until a stream has ended."""
        await self.hear(StreamEnded, lambda event: event.stream_id == number)

    async def read(self) -> bool:
        """Read what comes; False when the peer has closed."""
        try:
            data = await self.tls.receive_some()
        except trio.BrokenResourceError:
            return False
        for event in self._h2.receive_data(data):
            self.events.append(event)
            if isinstance(event, DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        await self._flush()
        return bool(data)

    def heard(self, kind: type[E]) -> list[E]:
        """Give all events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def frames(self, number: int) -> list[str]:
        """Name the frames of one stream in their order; those that only make room for more are left out."""
        names = {ResponseReceived: "headers", DataReceived: "data", TrailersReceived: "trailers", StreamEnded: "end"}
        mine = [event for event in self.events if getattr(event, "stream_id", 0) == number]
        return [names[type(event)] for event in mine if type(event) in names]

    def headers(self, kind: type[Any], number: int) -> dict[str, str]:
        """Give the headers, or the trailers, of one stream."""
        (event,) = [event for event in self.heard(kind) if event.stream_id == number]
        return dict(event.headers)

    def data(self, number: int) -> bytes:
        """Give all data of one stream so far."""
        return b"".join(event.data for event in self.heard(DataReceived) if event.stream_id == number)

    async def _flush(self) -> None:
        await self.tls.send_all(self._h2.data_to_send())


@asynccontextmanager
async def connect(address: str, context: ssl.SSLContext, server_name: str) -> AsyncIterator[Http2Client]:
    """Open a connection to a server that has to be called `server_name`."""
    host, port = parse_listen(address)
    async with await trio.open_tcp_stream(host, port) as socket:
        client = Http2Client(trio.SSLStream(socket, context, server_hostname=server_name, https_compatible=True))
        with trio.fail_after(10):
            await client.begin()
        yield client
