"""The write-ahead log: files of frames, each on disk before its events are acknowledged.

A file is named by the `seq` of its first event. It is written by one process, in order, and never again once another
was begun or a write failed; it is removed when all its events are in segments. Readers follow it as it grows.

After a write that failed, the file may have frames that nobody was told are safe, and that came again elsewhere. They
are cut off, and nothing else is written until it is certain that no power cut brings them back.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from plumbing.private_files import PRIVATE, sync_directory, write_file
from plumbing.spool import Frame, Kept
from plumbing.spool.frames import HEAD_BYTES, Head, encode, find_head, read_body, read_head

DRAFT = ".new"
"""What the name of a file ends with that is being written anew, as `write_file` does."""

_SUFFIX = ".wal"
_ANY = 1 << 62  # more than a file has bytes, or a store events


class Whole(NamedTuple):
    """A frame that is as it was written."""

    offset: int
    head: Head
    kept: Kept

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + self.head.frame_bytes


class Gap(NamedTuple):
    """Bytes that are no frame."""

    offset: int
    content: bytes
    torn: bool
    """A write that was cut short, at the end of the file: it was never acknowledged."""
    last: bool
    """No frame that can be read follows."""
    events: int | None
    """How many it had, where its head can be read."""

    @property
    def end(self) -> int:
        """Where the next frame begins, if one follows."""
        return self.offset + len(self.content)


def files(folder: Path) -> list[tuple[int, Path]]:
    """List the files of the log in `folder`, oldest first, each with the `seq` it begins with."""
    found = [path for path in folder.iterdir() if path.suffix == _SUFFIX and _is_seq(path.stem)]
    return sorted((int(path.stem), path) for path in found)


def scan(path: Path, seed: int, offset: int = 0) -> Iterator[Whole | Gap]:
    """Read what is in a file from `offset` on, to where it ends now."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while offset < size:
            found = _read(file, offset, size, seed)
            yield found
            offset = found.end


def _read(file: BinaryIO, offset: int, size: int, seed: int) -> Whole | Gap:
    file.seek(offset)
    start = file.read(HEAD_BYTES)
    head = read_head(start, size - offset, seed)
    if head is not None:
        kept = read_body(head, file.read(head.length), seed)
        if kept is not None:
            return Whole(offset, head, kept)
    file.seek(offset)
    rest = file.read(size - offset)
    next_frame = 1 + find_head(rest[1:], seed)
    last = next_frame >= len(rest)
    cut_short = len(rest) < HEAD_BYTES or (head is None and read_head(rest, _ANY, seed) is not None)
    torn = last and (cut_short or not any(rest))  # a power cut can leave zeros
    return Gap(offset, rest[:next_frame], torn, last, head and head.envelopes)


@dataclass(slots=True)
class Wal:
    """The end of the log that is written to. Not for two threads at once."""

    folder: Path
    seed: int
    _path: Path | None = None
    _handle: int | None = field(default=None, repr=False)
    _size: int = 0
    _doubted: tuple[Path, int] | None = None
    """A file that may come back longer than this after a power cut."""

    def append(self, frames: Sequence[Frame], first_seq: int) -> None:
        """Write frames whose first event is `first_seq`, and force them to disk; an error leaves nothing that counts.

        ValueError if one is too large. After any other error, the places that these events would have had must not be
        given again: a reader may have seen them.
        """
        parts, seq = [], first_seq
        for frame in frames:
            parts += encode(frame, seq, seq, self.seed)
            seq += frame.count
        data = b"".join(parts)
        self.settle()
        try:
            handle = self._handle if self._handle is not None else self._begin(first_seq)
            _write(handle, data, self._size)
            os.fdatasync(handle)
        except BaseException:
            self._abandon()
            raise
        self._size += len(data)

    def rotate(self) -> None:
        """Let the next append begin a file of its own."""
        if self._handle is not None:
            os.close(self._handle)
        self._path, self._handle, self._size = None, None, 0

    def begins_at(self, seq: int) -> bool:
        """Whether the file that is written to began with this one: it holds no events, but marks at most."""
        return self._path is not None and self._path.stem == f"{seq:020d}"

    def remove(self, before: int) -> None:
        """Remove files that begin with an event before that; OSError when the disk does not let us."""
        for seq, path in files(self.folder):
            if seq < before:
                path.unlink(missing_ok=True)

    def bytes_on_disk(self) -> int:
        """How much the files of the log have together."""
        total = 0
        for _, path in files(self.folder):
            with suppress(FileNotFoundError):  # it was flushed just now
                total += path.stat().st_size
        return total

    def _begin(self, first_seq: int) -> int:
        path = self.folder / f"{first_seq:020d}{_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._handle, self._path = os.open(path, flags, PRIVATE), path
        sync_directory(self.folder)
        return self._handle

    def _abandon(self) -> None:
        """Cut off what was written and does not count, and write to this file no more."""
        if self._handle is None or self._path is None:
            return
        self._doubted = self._path, self._size
        with suppress(OSError):  # then `settle` does it, before anything else is written
            os.ftruncate(self._handle, self._size)
            os.fsync(self._handle)
            self._doubted = None
            if not self._size:
                self._path.unlink()
        self.rotate()

    def settle(self) -> None:
        """Put what counts of a doubted file into a new one in its place: of the old one, nothing is known any more."""
        if self._doubted is None:
            return
        path, size = self._doubted
        with suppress(FileNotFoundError):  # all that counts of it is in segments
            with open(path, "rb") as file:
                content = file.read(size)
            if len(content) < size:
                raise OSError(errno.EIO, f"{path.name} has {len(content)} bytes, and not the {size} that were written")
            if size:
                write_file(path, content)
            else:
                path.unlink()
                sync_directory(self.folder)
        self._doubted = None


def _write(handle: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(handle, rest, offset)
        rest, offset = rest[written:], offset + written


def _is_seq(stem: str) -> bool:
    return len(stem) == 20 and stem.isascii() and stem.isdecimal() and int(stem) < _ANY
