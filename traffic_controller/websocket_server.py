"""The WebSocket door: TLS, who may come in, and a `Reader` for each who did. Lives on the island.

In:    HTTP requests to upgrade, with a token.
Out:   WebSockets, each pumped by its `Reader`; or an HTTP refusal.
Drops: nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio
from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from plumbing.auth import Verifier, presented_token
from plumbing.config import join_listen, parse_listen
from plumbing.egress_client import Dopplers
from plumbing.island import Island
from plumbing.tls import server_context
from traffic_controller.config import Config
from traffic_controller.doors import FULL, NOT_A_WEBSOCKET, Refusal, Stream, knock
from traffic_controller.reader import Reader
from traffic_controller.readers import Readers

_MAX_INCOMING_BYTES = 1 << 20


class Client(ServerConnection):
    """A WebSocket and what was asked for when it was opened."""

    asked_for: Stream


class WebSocketServer:
    """Serves every client of one traffic controller."""

    def __init__(self, config: Config, verifier: Verifier, readers: Readers, dopplers: Dopplers) -> None:
        self._config = config
        self._verifier = verifier
        self._readers = readers
        self._dopplers = dopplers
        self._server: Server | None = None

    async def open(self) -> str:
        """Listen; returns the true `host:port`. Raises `OSError` naming an address that is not free."""
        host, port = parse_listen(self._config.listen)
        try:
            self._server = await serve_websockets(
                self._pump,
                host,
                port,
                ssl=server_context(self._config.tls, require_client_cert=False),
                ssl_handshake_timeout=self._config.handshake_timeout_s,
                create_connection=Client,
                process_request=self._answer,
                compression=None,  # frames are written ready-made; clients of the original get none either
                server_header=None,
                open_timeout=self._config.handshake_timeout_s,
                close_timeout=self._config.goodbye_s,
                ping_interval=None,  # `Reader` pings as the original does
                max_size=_MAX_INCOMING_BYTES,
            )
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"listen {self._config.listen}") from error
        bound: int = self._server.sockets[0].getsockname()[1]
        return join_listen(host, bound)

    async def close(self) -> None:
        """Close every client with 1001, but wait for no slow one longer than the drain's grace."""
        if self._server is not None:
            self._server.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.drain_grace_s):
                    await self._server.wait_closed()

    async def abort(self) -> None:
        """End whatever is left, at once."""
        if self._server is not None:
            self._server.close(close_connections=False)
            for client in self._server.connections:
                client.transport.abort()

    async def _pump(self, client: ServerConnection) -> None:
        assert isinstance(client, Client)
        reader = Reader(self._config, client, client.asked_for, self._dopplers)
        with self._readers.enter(reader):
            await reader.run()

    def _answer(self, client: ServerConnection, request: Request) -> Response | None:
        """Let a request through to its stream, or answer it with a plain HTTP response."""
        asked = knock(request.path, presented_token(request.headers), self._verifier, time.time())
        if isinstance(asked, Stream):
            if len(self._readers) >= self._config.max_readers:
                asked = FULL
            elif request.headers.get("Upgrade", "").lower() != "websocket":
                asked = NOT_A_WEBSOCKET
        if isinstance(asked, Refusal):
            self._readers.refused[asked.status] += 1
            return _response(asked)
        assert isinstance(client, Client)
        client.asked_for = asked
        return None


@asynccontextmanager
async def serving(island: Island, server: WebSocketServer) -> AsyncIterator[str]:
    """Serve for the time of the block; yields the true `host:port`. On leaving, whoever is still there is cut off."""
    address = await island.run(server.open)
    try:
        yield address
    finally:
        with trio.CancelScope(shield=True):
            await island.run(server.abort)


def _response(refusal: Refusal) -> Response:
    body = refusal.body.encode()
    headers = Headers(
        {
            **refusal.headers,
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
    )
    return Response(refusal.status, refusal.status.phrase, headers, body)
