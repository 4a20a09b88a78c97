"""A TCP connection that knows how many of its bytes the other side has acknowledged."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import termios

import trio

_CHUNK = 4096


class Line(trio.abc.Stream):
    """A stream over a socket. A send that takes not one byte for `write_timeout_s` breaks it."""

    def __init__(self, stream: trio.SocketStream, *, write_timeout_s: float, keepalive_s: int) -> None:
        self._stream = stream
        self._socket = stream.socket
        self._write_timeout_s = write_timeout_s
        self._sent = 0
        self.heard = trio.Event()
        """Set whenever bytes come; whoever waits for the next ones puts a new one there."""
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_s)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, keepalive_s)

    @property
    def sent(self) -> int:
        """How many bytes the system took to send."""
        return self._sent

    def acknowledged(self) -> int:
        """Say how many bytes the other side's system has for certain."""
        waiting = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
        return max(0, self._sent - int(struct.unpack("i", waiting)[0]))

    def is_over(self) -> bool:
        """Whether the other side has closed, or the connection is broken."""
        watched = select.poll()
        watched.register(self._socket.fileno(), select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        return bool(watched.poll(0))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything, or raise `trio.BrokenResourceError`. Does not pause while the system takes what it is given.

        Hot path: `one drain over TCP` of benchmarks/drains.py.
        """
        rest = memoryview(data)
        while rest:
            try:
                size = os.write(self._socket.fileno(), rest)
            except BlockingIOError:
                await self._writable()
                continue
            except OSError as error:
                raise trio.BrokenResourceError(error.strerror or "broken") from error
            self._sent += size
            rest = rest[size:]

    async def _writable(self) -> None:
        try:
            with trio.fail_after(self._write_timeout_s):
                await trio.lowlevel.wait_writable(self._socket)
        except trio.TooSlowError as error:
            raise trio.BrokenResourceError("takes no more bytes") from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Read some bytes, none at the end."""
        received = bytes(await self._stream.receive_some(max_bytes or _CHUNK))
        self.heard.set()
        return received

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()
