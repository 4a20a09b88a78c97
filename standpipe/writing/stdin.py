"""Read standard input until its end, or until somebody asks to stop.

In:    a pipe, a terminal, a socket or a file.
Drops: nothing that was read.
"""

from __future__ import annotations

import os
import signal
import sys

import trio

from standpipe.errors import CommandFailed

CHUNK_BYTES = 256 << 10


class Stdin:
    """Standard input, which the first SIGINT or SIGTERM ends; what a second one does is as usual."""

    def __init__(self, fd: int = 0) -> None:
        self.ended_by = 0
        """The number of the signal that ended it."""
        if fd == 0 and sys.stdin is None:
            raise CommandFailed("cannot read standard input: it is closed")
        self._fd = fd
        self._waiting = trio.CancelScope()

    async def read(self) -> bytes:
        """Return what is there, as soon as anything is; nothing at the end."""
        while not self.ended_by:
            with trio.CancelScope() as self._waiting:
                try:
                    return await _read(self._fd)
                except BlockingIOError:  # another process shares the pipe and was faster
                    continue
                except OSError as error:
                    raise CommandFailed(f"cannot read standard input: {error.strerror}") from error
        return b""

    async def listen(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Wait for the signal."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                self.ended_by = number
                self._waiting.cancel()
                return


async def _read(fd: int) -> bytes:
    try:
        await trio.lowlevel.wait_readable(fd)
    except PermissionError:  # epoll refuses regular files, which are always ready, if not at once
        return await trio.to_thread.run_sync(os.read, fd, CHUNK_BYTES)
    return os.read(fd, CHUNK_BYTES)
