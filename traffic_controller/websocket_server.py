"""The WebSocket door: TLS, the front door, and a `Reader` for each client that came in. Lives on the island.

In:    connections over TLS; `FrontDoor` reads their requests and answers those that are for no stream.
Out:   WebSockets, each pumped by its `Reader`.
Drops: nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import Event
from websockets.server import ServerProtocol

from plumbing.auth import Authority
from plumbing.config import join_listen, parse_listen
from plumbing.island import Island
from plumbing.tls import server_context
from traffic_controller.access_log import AccessLog
from traffic_controller.config import Config
from traffic_controller.doors import Stream
from traffic_controller.feeds import Feeds
from traffic_controller.http_errands import Errands
from traffic_controller.http_server import FrontDoor
from traffic_controller.lobby import Lobby
from traffic_controller.patience import Patience
from traffic_controller.reader import Reader
from traffic_controller.readers import Readers

_MAX_INCOMING_BYTES = 64 << 10  # of one message; nobody wants any of it


class Client(ServerConnection):
    """A WebSocket, what was asked for when it was opened, and among whom it has its seat while it is."""

    asked_for: Stream
    seats: set[Client]

    def take_over(self, transport: asyncio.Transport, stream: Stream, arrived: bytes, seats: set[Client]) -> None:
        """Go on with a connection whose client was let in; what has arrived begins with its handshake."""
        self.asked_for = stream
        self.seats = seats
        self._patience = Patience()
        self._listens_later: asyncio.TimerHandle | None = None
        seats.add(self)
        transport.set_protocol(self)
        self.connection_made(transport)
        self.data_received(arrived)

    def data_received(self, data: bytes) -> None:
        """Listen to so much at a time; the client waits with the rest."""
        if heard := self._patience.hear(data, self.loop.time()):
            super().data_received(heard)
        if self._patience.waiting and self._listens_later is None:
            self.transport.pause_reading()
            self._listens_later = self.loop.call_at(self._patience.renewed_at, self._listen_again)

    def eof_received(self) -> None:
        """Hear no more, not even what waits."""
        self._patience.waiting = b""
        super().eof_received()

    def process_event(self, event: Event) -> None:
        """Forget what the client says (loggregator.md 3.1): nothing of it is put together, or waits to be read."""
        if not (isinstance(event, Frame) and event.opcode in DATA_OPCODES):
            super().process_event(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for another."""
        self._patience.waiting = b""
        self.seats.discard(self)
        super().connection_lost(exc)

    def _listen_again(self) -> None:
        self._listens_later = None
        if self._patience.waiting:
            self.transport.resume_reading()
            self.data_received(b"")


class WebSocketServer:
    """Serves every client of one traffic controller."""

    def __init__(
        self,
        config: Config,
        authority: Authority,
        readers: Readers,
        feeds: Feeds,
        errands: Errands,
        access_log: AccessLog | None = None,
    ) -> None:
        self._config = config
        self._readers = readers
        self._feeds = feeds
        self._seats: set[Client] = set()
        self._front_door = FrontDoor(
            config, authority, errands, access_log, has_seat=self._has_seat, refused=readers.refused
        )
        self._lobby = Lobby(
            self._receive,
            server_context(config.tls, require_client_cert=False),
            handshake_timeout_s=config.handshake_timeout_s,
            goodbye_s=config.goodbye_s,
            is_full=lambda: self.connections >= config.max_connections,
        )
        self._server: Server | None = None

    @property
    def connections(self) -> int:
        """Connections there are: those without TLS yet, those without an answer yet, and the streams."""
        return len(self._lobby) + len(self._front_door) + len(self._seats)

    @property
    def turned_away(self) -> int:
        """Connections that were closed because there were too many."""
        return self._lobby.turned_away

    async def open(self) -> str:
        """Listen; returns the true `host:port`. Raises `OSError` naming an address that is not free."""
        host, port = parse_listen(self._config.listen)
        server = serve_websockets(self._pump, open_timeout=self._config.handshake_timeout_s, server_header=None)

        async def open_lobby() -> Any:
            await self._lobby.open(host, port)
            return self._lobby

        server.create_server = open_lobby  # a pinned seam: the library's server, on connections that we accept
        try:
            self._server = await server
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"listen {self._config.listen}") from error
        bound: int = self._lobby.sockets[0].getsockname()[1]
        return join_listen(host, bound)

    async def close(self) -> None:
        """Close every client with 1001, but wait for no slow one longer than the drain's grace."""
        if self._server is not None:
            self._front_door.close()
            self._server.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.drain_grace_s):
                    await self._front_door.empty()
                    await self._server.wait_closed()

    async def abort(self) -> None:
        """End whatever is left, at once."""
        if self._server is not None:
            self._server.close(close_connections=False)
            self._front_door.abort()
            for client in list(self._seats):
                client.transport.abort()

    def _receive(self) -> asyncio.Protocol:
        """Meet a connection at the front door: `websockets` sees those alone whose clients were let in to a stream."""
        return self._front_door.receive(
            lambda transport, stream, arrived: self._client().take_over(transport, stream, arrived, self._seats)
        )

    def _client(self) -> Client:
        assert self._server is not None
        return Client(
            ServerProtocol(max_size=_MAX_INCOMING_BYTES),  # no extensions: frames are written ready-made
            self._server,
            ping_interval=None,  # `Reader` pings as the original does
            close_timeout=self._config.goodbye_s,
        )

    def _has_seat(self) -> bool:
        return len(self._seats) < self._config.max_readers

    async def _pump(self, client: ServerConnection) -> None:
        assert isinstance(client, Client)
        reader = Reader(self._config, client, client.asked_for, self._feeds)
        with self._readers.enter(reader):
            await reader.run()


@asynccontextmanager
async def serving(island: Island, server: WebSocketServer) -> AsyncIterator[str]:
    """Serve for the time of the block; yields the true `host:port`. On leaving, whoever is still there is cut off."""
    address = await island.run(server.open)
    try:
        yield address
    finally:
        with trio.CancelScope(shield=True):
            await island.run(server.abort)
