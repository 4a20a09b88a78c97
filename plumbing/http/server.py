"""Serve an ASGI application over TLS: hypercorn on trio, one connection kept from hurting another.

In:    HTTP/1.1 requests.
Out:   what the application answers. It finds the `Connection` it answers on in `scope["state"]["connection"]`.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config as HttpConfig
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from starlette.types import ASGIApp

from plumbing.config import join_listen, parse_listen

log = structlog.get_logger(__name__)

_LAST_ANSWER_S = 1.0  # for a client that has said that it will say no more
_CHUNK_BYTES = 64 << 10  # a client that takes one of these within `stalled_s` is not stalled


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client, and all of them together, may take of a server."""

    handshake_s: float
    """For the whole TLS handshake."""

    idle_s: float
    """From the connect or the last answer to the end of a request's headers."""

    stalled_s: float
    """For a client that takes nothing of what it is sent."""

    connection_s: float
    """For one connection with all its requests; an answer that may take longer asks for it: `Connection.lasts`."""

    connections: int
    """Open at once; one more is closed at once."""

    requests: int = 100
    """On one connection."""

    header_bytes: int = 16 << 10
    """Of a request's line and headers, looked at after each TLS record (16 KiB): one record is never too much."""


@dataclass(slots=True)
class HttpCounts:
    """What became of the connections of a server."""

    open: int = 0
    turned_away: int = 0
    stalled: int = 0


class Connection:
    """One client's TLS stream: cut when the client takes nothing of what it is sent for too long.

    hypercorn, which is handed this for the stream itself, says nothing to an application whose client is gone; who
    wants to know whether something was sent looks at `is_open` afterwards.
    """

    def __init__(self, stream: trio.SSLStream[trio.SocketStream], stalled_s: float) -> None:
        self.is_open = True
        self.was_stalled = False
        self.scope = trio.CancelScope()
        self.transport_stream = stream.transport_stream
        self._stream = stream
        self._stalled_s = stalled_s

    def lasts(self, seconds: float) -> None:
        """End the connection so many seconds from now, and not when it would have ended otherwise."""
        self.scope.deadline = trio.current_time() + seconds

    def cut(self) -> None:
        """End the connection at once, whatever is on its way."""
        self.is_open = False
        self.transport_stream.socket.close()

    async def do_handshake(self) -> None:
        """Agree on keys; raises `BrokenResourceError` when that fails."""
        with self._noticing_the_end():
            await self._stream.do_handshake()

    def selected_alpn_protocol(self) -> str | None:
        """Return what was agreed on."""
        agreed: str | None = self._stream.selected_alpn_protocol()
        return agreed

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send; raises `BrokenResourceError` when the client is gone or stalled."""
        with self._noticing_the_end(), memoryview(data) as view:
            for start in range(0, len(view), _CHUNK_BYTES):
                with trio.fail_after(self._stalled_s):
                    await self._stream.send_all(view[start : start + _CHUNK_BYTES])

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive; raises `BrokenResourceError` when the client is gone."""
        with self._noticing_the_end():
            received = await self._stream.receive_some(max_bytes)
        if not received:
            self.is_open = False
            self.lasts(_LAST_ANSWER_S)  # hypercorn alone would wait for another request, from nobody
        return received

    async def aclose(self) -> None:
        """Close the socket."""
        self.is_open = False
        await self._stream.aclose()

    @contextmanager
    def _noticing_the_end(self) -> Iterator[None]:
        try:
            yield
        except trio.TooSlowError as error:
            self.was_stalled = True
            self.cut()
            self.lasts(0)  # hypercorn alone would wait for the turn of further requests, of nobody
            raise trio.BrokenResourceError("the client takes nothing") from error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            cause = error.__cause__
            self.was_stalled |= isinstance(cause, OSError) and cause.errno == errno.ETIMEDOUT
            self.is_open = False
            self.lasts(0)
            raise trio.BrokenResourceError("the client is gone") from error


class _Http11(TCPServer):
    """Speaks HTTP/1.1 alone: hypercorn would go over to HTTP/2 with whoever asks for it, and count none of its streams.

    A request to go over is a request like any other.
    """

    async def _read_data(self) -> None:
        self.protocol.protocol._check_protocol = _stays  # type: ignore[method-assign,union-attr]
        await super()._read_data()


async def _stays(_: object) -> None:
    """Raise nothing, which is how hypercorn would change protocols."""


@dataclass(slots=True)
class _Server:
    app: ASGIWrapper
    http: HttpConfig
    context: ssl.SSLContext
    limits: Limits
    counts: HttpCounts
    connections: set[Connection] = field(default_factory=set)

    async def converse(self, accepted: trio.SocketStream) -> None:
        """Serve one connection. `hypercorn.trio.serve` would let one malformed h2c upgrade end all of them."""
        if len(self.connections) >= self.limits.connections:
            self.counts.turned_away += 1
            await trio.aclose_forcefully(accepted)
            return
        over_tls = trio.SSLStream(accepted, self.context, server_side=True, https_compatible=True)
        connection = Connection(over_tls, self.limits.stalled_s)
        connection.lasts(self.limits.connection_s)
        self.connections.add(connection)
        self.counts.open += 1
        try:
            with connection.scope:
                state = ConnectionState({"connection": connection})
                stream = cast("trio.SSLStream[trio.SocketStream]", connection)
                await _Http11(self.app, self.http, WorkerContext(None), state, stream).run()
        except Exception:
            log.exception("http_connection_failed")
        finally:
            connection.cut()
            self.connections.remove(connection)
            self.counts.open -= 1
            self.counts.stalled += connection.was_stalled

    def cut_all(self) -> None:
        """End every connection: hypercorn shields what it sends from cancellation."""
        for connection in self.connections:
            connection.cut()


async def serve_http(
    listen: str,
    app: ASGIApp,
    context: ssl.SSLContext,
    limits: Limits,
    *,
    setting: str = "listen",
    counts: HttpCounts | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until cancelled; starts with the true `host:port`.

    Raises `OSError` naming `setting` when its address is not free.
    """
    host, port = parse_listen(listen)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{setting} {listen}") from error
    for listener in listeners:
        if sys.platform == "linux":  # notices a client that is gone while nothing waits to be sent
            listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.stalled_s * 1000))
    wrapped = ASGIWrapper(cast(ASGIFramework, app))
    server = _Server(wrapped, _http_config(limits), context, limits, counts or HttpCounts())
    async with trio.open_nursery() as conversations:
        task_status.started(join_listen(*listeners[0].socket.getsockname()[:2]))
        try:
            await trio.serve_listeners(server.converse, listeners, handler_nursery=conversations)
        finally:
            server.cut_all()


def _http_config(limits: Limits) -> HttpConfig:
    http = HttpConfig()
    http.errorlog = logging.getLogger("hypercorn.error")
    http.include_server_header = False
    http.ssl_handshake_timeout = limits.handshake_s
    http.keep_alive_timeout = limits.idle_s
    http.keep_alive_max_requests = limits.requests
    http.h11_max_incomplete_size = limits.header_bytes
    return http
