"""Where a connection waits from its first byte until it speaks TLS: so many there may be, and not one more.

In:    connections, of whoever reaches the port.
Out:   the same over TLS, each to the protocol that receives it. Those beyond the bound are closed at once.
Drops: nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_BACKLOG = 512
_BREATHER_S = 0.1  # when this process may open no more files
_AHEAD_BYTES = 16 << 10  # of TLS, that a client may send while nobody reads, and a read of 64 KiB


class Lobby:
    """Accepts connections and gives them their TLS: an `asyncio.Server`, as far as `websockets` wants one.

    One of asyncio's own can neither tell how many have no TLS yet, nor turn one away.
    """

    def __init__(
        self,
        receive: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        *,
        handshake_timeout_s: float,
        goodbye_s: float,
        is_full: Callable[[], bool],
    ) -> None:
        self.turned_away = 0
        self.sockets: list[socket.socket] = []
        self._receive = receive
        self._context = context
        self._handshake_timeout_s = handshake_timeout_s
        self._goodbye_s = goodbye_s
        self._is_full = is_full
        self._arrivals: dict[socket.socket, asyncio.Task[None]] = {}
        self._welcoming: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return len(self._arrivals)

    async def open(self, host: str, port: int) -> None:
        """Listen at every address of a host; raises `OSError` for one that is not free."""
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
            listener.setblocking(False)
            self.sockets.append(listener)
        self._welcoming = [asyncio.ensure_future(self._welcome(listener)) for listener in self.sockets]

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop it lives on."""
        return asyncio.get_running_loop()

    def is_serving(self) -> bool:
        """Tell whether connections are accepted."""
        return bool(self._welcoming)

    def close(self) -> None:
        """Accept no more, and wait for nobody's TLS."""
        while self._welcoming:
            self._welcoming.pop().cancel()
            self.sockets.pop().close()
        for connection in self._arrivals:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    async def wait_closed(self) -> None:
        """Wait until nobody is waiting any more."""
        if self._arrivals:
            await asyncio.wait(self._arrivals.values())

    async def accept(self, listener: socket.socket) -> tuple[socket.socket, Any]:
        """Return the next connection; raises `OSError` when this process may open no more files."""
        return await asyncio.get_running_loop().sock_accept(listener)

    async def _welcome(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = await self.accept(listener)
            except OSError:
                await asyncio.sleep(_BREATHER_S)
                continue
            if self._is_full():
                self.turned_away += 1
                connection.close()
            else:
                self._arrivals[connection] = asyncio.ensure_future(self._secure(connection))

    async def _secure(self, connection: socket.socket) -> None:
        try:
            transport: Any
            with suppress(OSError):  # it speaks something else, takes too long, or is gone
                transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                    self._receive,
                    connection,
                    ssl=self._context,
                    ssl_handshake_timeout=self._handshake_timeout_s,
                    ssl_shutdown_timeout=self._goodbye_s,
                )
                transport.set_read_buffer_limits(_AHEAD_BYTES)
        finally:
            del self._arrivals[connection]
