"""Write each envelope as one line of JSON, to standard output or to the end of a file.

In:    batches.
Out:   the JSON of an envelope as `envelope.json_form` writes it, and a newline, for each.
Drops: nothing.

At least once: a batch whose write was cut short by a kill, or that was not known to be safe, is there again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from envelope import kernel
from nozzles.sdk import Batch, NozzleKind, SinkUnavailable, Write
from plumbing.config import Section
from plumbing.private_files import PRIVATE

_STDOUT = 1
_LOOKED_AT = 1 << 16  # bytes of a file's end that are read at a time
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Config(Section):
    """Where the lines go."""

    path: Path | None = None
    """File to append to, made with mode 0600 when there is none; without a path they go to standard output.
    What stands behind the last newline of the file is a torn line, and is cut off."""

    sync: bool = False
    """Whether each batch is on the disk, past all caches, before it counts as delivered; standard output has none."""


def lines(batch: Batch) -> bytes:
    """Write a batch as lines of JSON."""
    return b"".join(line + b"\n" for line in kernel.json_envelopes(batch.data))


class LineFile:
    """A file that only grows by whole lines, locked against other processes. Blocking: call it in a worker thread.

    Opening it cuts off a torn last line. What is no regular file (a terminal, a pipe) is written as it is.
    OSError is raised for whatever the system says, BlockingIOError when another process has the file.
    """

    def __init__(self, path: Path | None, *, sync: bool = False) -> None:
        self.path = path
        self.size = 0
        self.changed_at = 0.0
        """When it was last changed before it was opened, in seconds since 1970."""
        self._sync = sync
        self._handle = _opened(path)
        try:
            self.regular = stat.S_ISREG(os.fstat(self._handle).st_mode)
            if path is not None and self.regular:
                self._take_over(path)
        except BaseException:
            self.close()
            raise

    def append(self, text: bytes) -> None:
        """Write all of it, or (of a regular file) nothing: what a full disk took is cut off before the error."""
        before = os.fstat(self._handle).st_size if self.regular else 0
        try:
            _write_all(self._handle, text)
            if self._sync and self.regular:
                os.fdatasync(self._handle)
        except OSError:
            if self.regular:
                os.ftruncate(self._handle, before)
            raise
        self.size = before + len(text) if self.regular else 0

    def is_in_place(self) -> bool:
        """Say whether the path still leads to this file: nobody has moved or removed it."""
        if self.path is None:
            return True
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Close it, which also lets go of the lock."""
        os.close(self._handle)

    def _take_over(self, path: Path) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(error.errno, "another process writes it", str(path)) from None
        self.changed_at = os.fstat(self._handle).st_mtime
        self.size = _end_of_last_line(path)
        os.ftruncate(self._handle, self.size)


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Open the file; `write` returns when the system has the lines. A file moved away (logrotate) is made anew.

    A full disk is `SinkUnavailable`. Standard output that nobody reads any more is `BrokenPipeError`.
    """
    file = await trio.to_thread.run_sync(lambda: LineFile(config.path, sync=config.sync))
    abandoned = False

    def append(text: bytes) -> None:
        nonlocal file
        if not file.is_in_place():
            moved, file = file, LineFile(config.path, sync=config.sync)
            moved.close()
        file.append(text)

    async def write(batch: Batch) -> None:
        nonlocal abandoned
        text = lines(batch)
        try:
            with full_disk_is_unavailable():
                # who reads a pipe may be slow for ever: a cancelled write is then left to end with the process
                await trio.to_thread.run_sync(append, text, abandon_on_cancel=not file.regular)
        except trio.Cancelled:
            abandoned = not file.regular
            raise

    try:
        yield write
    finally:
        if not abandoned:  # its thread may still be writing
            file.close()


@contextmanager
def full_disk_is_unavailable() -> Iterator[None]:
    """Translate a full disk, or quota, to `SinkUnavailable`: the file need not be opened anew for it."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise SinkUnavailable(str(error)) from error
        raise


def _opened(path: Path | None) -> int:
    if path is None:
        return os.dup(_STDOUT)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE)


def _write_all(handle: int, text: bytes) -> None:
    left = memoryview(text)
    while left:
        try:
            left = left[os.write(handle, left) :]
        except BlockingIOError:  # somebody who shares the terminal or pipe made it non-blocking
            select.select([], [handle], [])


def _end_of_last_line(path: Path) -> int:
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _LOOKED_AT)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0


kind = NozzleKind(Config, open_nozzle)
