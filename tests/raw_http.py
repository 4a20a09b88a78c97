"""HTTP over TLS, byte by byte: what no client library would send, and all that comes back."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import h11
import trio

from plumbing.config import parse_listen

HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)
"""The headers of a WebSocket's opening."""

Stream = trio.SSLStream[trio.SocketStream]


@dataclass
class Reply:
    """An answer; names of headers are in lower case, and a header that came twice has both values."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes = b""
    """What came behind an upgrade."""

    @property
    def lasting_headers(self) -> dict[str, str]:
        """The headers without the date."""
        return {name: value for name, value in self.headers.items() if name != "date"}


async def dial(address: str, trusting: ssl.SSLContext) -> Stream:
    """Open a connection."""
    host, port = parse_listen(address)
    stream = trio.SSLStream(
        await trio.open_tcp_stream(host, port), trusting, server_hostname=host, https_compatible=True
    )
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError:
        await trio.aclose_forcefully(stream)
        raise
    return stream


def request(target: str, *headers: str, method: str = "GET", body: str = "") -> bytes:
    """Write a request of HTTP/1.1, as it is told to."""
    lines = [f"{method} {target} HTTP/1.1", "Host: doppler.sys.example", *headers]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", body]).encode("latin-1")


async def exchange(stream: Stream, *pieces: bytes, method: str = "GET") -> Reply:
    """Send bytes as they are, and read one answer; the connection may go on, and so may a stream of events."""
    client = h11.Connection(h11.CLIENT)
    is_upgrade = b"upgrade: websocket" in b"".join(pieces).lower()
    upgrade = [("Connection", "upgrade"), ("Upgrade", "websocket")] if is_upgrade else []
    client.send(h11.Request(method=method, target="/", headers=[("Host", "h"), *upgrade]))
    client.send(h11.EndOfMessage())
    with trio.fail_after(20):
        for piece in pieces:
            await stream.send_all(piece)
        return await _read(client, stream)


async def _read(client: h11.Connection, stream: Stream) -> Reply:
    head, body = None, b""
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(await stream.receive_some(65536))
        elif isinstance(event, h11.Response):
            head = event
            if (b"content-type", b"text/event-stream") in list(head.headers):
                break
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage | h11.PAUSED):
            break
        elif isinstance(event, h11.InformationalResponse) and event.status_code == 101:
            return Reply(101, _headers(event), b"", client.trailing_data[0])
    assert head is not None
    return Reply(head.status_code, _headers(head), body)


def _headers(head: h11.Response | h11.InformationalResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in head.headers:
        key = name.decode()
        headers[key] = f"{headers[key]}, {value.decode('latin-1')}" if key in headers else value.decode("latin-1")
    return headers


async def ask(address: str, trusting: ssl.SSLContext, *pieces: bytes, method: str = "GET") -> Reply:
    """Make one request on a connection of its own."""
    stream = await dial(address, trusting)
    try:
        return await exchange(stream, *pieces, method=method)
    finally:
        await trio.aclose_forcefully(stream)
