"""One file of a spool: frames one after another, appended to while it is the newest, and removed as a whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from plumbing.private_files import PRIVATE
from plumbing.spool.frames import HEAD_BYTES, Head, find_head, read_head

_READ_AHEAD = 64 << 10
_SUFFIX = ".frames"
_DAMAGED = frozenset({errno.EIO, errno.EUCLEAN, errno.EBADMSG})
"""What a disk says that cannot read what was written: not now, and not later."""


class Place(NamedTuple):
    """Where a frame is."""

    segment: Segment
    offset: int
    head: Head


@dataclass(slots=True, eq=False)
class Segment:
    """What is known of one file. Positions count the envelopes put in the life of the spool."""

    path: Path
    first_seq: int
    start: int
    end: int
    """Positions of the first envelope in it, and behind the last."""
    size: int = 0
    held: int = 0
    """Envelopes in it that are not done with."""
    left: int = 0
    """Bytes in it that are not done with."""
    offset: int = 0
    position: int = 0
    """How far it has been read, in bytes and in envelopes."""
    dropped: bool = False
    _handle: int | None = field(default=None, repr=False)

    @property
    def unread(self) -> bool:
        """Whether there is something in it that was not read, or that cannot be read any more and is not counted."""
        return self.offset < self.size or self.position < self.end

    @classmethod
    def new(cls, directory: Path, seq: int, start: int) -> Segment:
        """Say what will be in a file that begins with `seq`; the file is made when it is first written to."""
        path = directory / f"{seq:016x}-{start:016x}{_SUFFIX}"
        return cls(path, first_seq=seq, start=start, end=start, position=start)

    @classmethod
    def found(cls, path: Path) -> Segment | None:
        """Read from its name which one `path` is; None if it is none of ours."""
        try:
            seq, start = (int(part, 16) for part in path.name.removesuffix(_SUFFIX).split("-"))
        except ValueError:
            return None
        segment = cls.new(path.parent, seq, start)
        if segment.path != path:
            return None
        segment.size = segment.left = path.stat().st_size
        return segment

    def write(self, data: bytes) -> None:
        """Write behind what is in it, without counting it yet; OSError when not all of it could be written."""
        if not data:
            return
        if self._handle is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._handle = os.open(self.path, flags, PRIVATE)
        rest, offset = memoryview(data), self.size
        while rest:
            written = os.pwrite(self._handle, rest, offset)
            rest, offset = rest[written:], offset + written

    def grow(self, size: int, count: int) -> None:
        """Count what was written."""
        self.size += size
        self.left += size
        self.end += count
        self.held += count

    def cut(self) -> None:
        """Take away whatever was written and not counted."""
        with suppress(OSError):  # then the next write goes over it, and a frame cut short is none
            if self._handle is not None:
                os.ftruncate(self._handle, self.size)
            elif self.path.exists():
                os.truncate(self.path, self.size)
            if not self.size:
                self.remove()

    def sync(self) -> None:
        """Force it to disk."""
        if self._handle is not None:
            os.fsync(self._handle)

    def seal(self) -> None:
        """Let go of the file: nothing will be written to it any more."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            with suppress(OSError):  # it comes too late: what must be on disk was synced
                os.close(handle)

    def remove(self) -> None:
        """Delete the file; OSError when the disk does not let us."""
        self.seal()
        self.path.unlink(missing_ok=True)

    def open(self) -> BinaryIO:
        """Open the file for reading; one that somebody took away, or the disk lost, reads as if it were empty."""
        try:
            return open(self.path, "rb", buffering=_READ_AHEAD)
        except OSError as error:
            if error.errno not in {errno.ENOENT, *_DAMAGED}:
                raise
            return BytesIO()

    def heads(self, file: BinaryIO, seed: int, offset: int = 0) -> Iterator[tuple[int, Head]]:
        """Yield where each frame begins, from `offset` on, and its head; what cannot be read is passed over."""
        while offset < self.size:
            head = read_head(read_at(file, offset, HEAD_BYTES), self.size - offset, seed)
            if head is not None:
                yield offset, head
                offset += head.frame_bytes
                continue
            rest = read_at(file, offset + 1, self.size - offset - 1)
            skipped = find_head(rest, seed)
            if skipped == len(rest):
                return
            offset += 1 + skipped


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Read so much, or nothing where the disk is damaged; OSError for what may pass, like too many open files."""
    try:
        file.seek(offset)
        return file.read(size)
    except OSError as error:
        if error.errno not in _DAMAGED:
            raise
        return b""
