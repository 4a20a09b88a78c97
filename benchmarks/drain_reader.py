"""The far end of syslog drains: takes what comes over any number of TCP connections, and counts messages by their ends.

Beside the door where it reads there is one where it accepts connections and never reads, for drains that hang.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.worker import Answer, Loop, arguments, obey

_HOST = "127.0.0.1"
_BACKLOG = 1024


class _Counting(asyncio.Protocol):
    """One connection; a message ends with a newline, and the workload has no other."""

    def __init__(self, reader: DrainReader) -> None:
        self._reader = reader

    def data_received(self, data: bytes) -> None:
        self._reader.received += data.count(b"\n")
        self._reader.last_at = time.monotonic()


class _Deaf(asyncio.Protocol):
    """One connection that nothing is read from."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()


class DrainReader:
    """Both doors, and what came in by the one."""

    def __init__(self) -> None:
        self.received = 0
        self.last_at = 0.0
        self._loop = Loop()

    def open(self) -> Answer:
        """Open both doors, and say where they are."""
        return self._loop.run(self._open())

    def progress(self) -> Answer:
        return {"received": [self.received], "last_at": self.last_at, "error": ""}

    async def _open(self) -> dict[str, str]:
        loop = asyncio.get_running_loop()
        reading = await loop.create_server(lambda: _Counting(self), _HOST, 0, backlog=_BACKLOG)
        deaf = await loop.create_server(_Deaf, _HOST, 0, backlog=_BACKLOG)
        self._servers = reading, deaf
        return {name: _address(server) for name, server in (("reading", reading), ("deaf", deaf))}


def _address(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()[:2]
    return f"{host}:{port}"


def main() -> None:
    arguments(__doc__ or "").parse_args()
    reader = DrainReader()
    obey({"open": reader.open, "progress": reader.progress})


if __name__ == "__main__":
    main()
