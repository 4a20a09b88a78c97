"""Write standard output from a worker thread: whoever reads it may pause, as a pager does, and we do not.

Out:   bytes, in pieces of up to 64 KiB.
Drops: what is still unwritten when the reader goes away, or when we are told to stop.
"""

from __future__ import annotations

import os
import select

import trio

PIECE_BYTES = 64 << 10


class Stdout:
    """Standard output, or another descriptor."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd

    async def write(self, data: bytes) -> bool:
        """Write all of `data`; False when nobody reads any more, as after `| head`."""
        if not data:
            return True
        try:
            await trio.to_thread.run_sync(_write, self._fd, data, abandon_on_cancel=True)
        except BrokenPipeError:
            return False
        return True


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest[:PIECE_BYTES]) :]
        except BlockingIOError:  # a terminal that another program left in non-blocking mode
            select.select([], [fd], [])
