"""A file of the marks of what was delivered last, beside the spool: it outlives the process.

In:    the marks of each batch that the sink has, before the spool lets go of it.
Out:   the last of them, at the next start.
Drops: nothing that counts: without it a repetition may be written a second time.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
import trio

from envelope.marks import MARK_BYTES
from plumbing.backlog import Backlog, Entry
from plumbing.gathering.recognise import REMEMBERED
from plumbing.spool import Spool

log = structlog.get_logger(__name__)

_READ_BYTES = 4 << 20
_MOST_BYTES = REMEMBERED * MARK_BYTES


class Journal:
    """Holds the last 100,000 marks, and up to twice as many on disk. Blocking file I/O."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._size = 0

    def read(self) -> bytes:
        """Return the last marks there are; what a kill left unfinished is cut off."""
        written = self._file.read_bytes() if self._file.exists() else b""
        whole = written[: len(written) // MARK_BYTES * MARK_BYTES][-_MOST_BYTES:]
        self._replace(whole)
        return whole

    def append(self, marks: Sequence[bytes]) -> None:
        """Add marks; raises OSError if the disk does not take them."""
        data = b"".join(marks)
        with open(os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            if file.write(data) != len(data):
                os.ftruncate(file.fileno(), before)  # half a mark would make nonsense of all behind it
                raise OSError(errno.ENOSPC, "there is no room for all of the marks", str(self._file))
        self._size += len(data)
        if self._size > 2 * _MOST_BYTES:
            self.read()

    def _replace(self, content: bytes) -> None:
        fresh = self._file.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_TRUNC | os.O_CREAT, 0o600), "wb") as file:
            file.write(content)
        fresh.replace(self._file)
        self._size = len(content)


class Journaled:
    """A backlog whose batches leave their marks in a journal when they are done."""

    def __init__(self, backlog: Backlog, journal: Journal) -> None:
        self._backlog = backlog
        self._journal = journal

    @property
    def refused(self) -> int:
        """Envelopes that were done as refused."""
        return self._backlog.refused

    async def next(self) -> Entry | None:
        """Return the oldest."""
        return await self._backlog.next()

    async def done(self, entry: Any, refused: int = 0, skipped: int = 0) -> None:
        """Write its marks down, and let go of it."""
        with trio.CancelScope(shield=True):
            if entry.marks:
                await trio.to_thread.run_sync(self._write_down, entry.marks)
            await self._backlog.done(entry, refused, skipped)

    def _write_down(self, marks: Sequence[bytes]) -> None:
        try:
            self._journal.append(marks)
        except OSError as error:
            log.warning("marks_unwritten", error=str(error))


def marks_in(spool: Spool) -> list[bytes]:
    """Read the marks of what waits in a spool, in order, and leave it as it was. Blocking file I/O.

    Of more than are remembered the first are left out, so that a large spool takes no more memory than a small one.
    """
    marks: deque[bytes] = deque()
    size = 0
    while kept := spool.read(_READ_BYTES):
        for mark in (mark for frame in kept for mark in frame.marks):
            marks.append(mark)
            size += len(mark)
            while size - len(marks[0]) >= _MOST_BYTES:
                size -= len(marks.popleft())
    spool.rewind()
    return [*marks]
