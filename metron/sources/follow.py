"""Follow one file: read what was added to it, and notice when its content is no longer the same.

In:    a file that grows, is cut short, is overwritten, is renamed.
Out:   its lines.
Drops: what was cut off or removed before it could be read, as far as that can be known; counted as an error.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from metron.sources.checkpoints import Position
from metron.sources.counts import SourceCounts, printable
from metron.sources.discovery import Sighting, Stamp, key_of, stamp_of
from metron.sources.outlet import envelope_head
from metron.sources.tail import FINGERPRINT_BYTES, FileKey, Fingerprint, LineSplitter, Run, Settlement

log = structlog.get_logger(__name__)


class Start(NamedTuple):
    """Where to begin in a file, and what it began with when that was decided."""

    offset: int
    fingerprint: Fingerprint = Fingerprint()


@dataclass(frozen=True, slots=True)
class Reading:
    """Lines of one file, on their way out."""

    run: Run
    head: bytes
    err: bool
    settlement: Settlement

    def expect(self) -> Callable[[], None]:
        """Note that the lines were sent; the answer is to be called when they have settled."""
        return self.settlement.expect(self.run.end)


class FollowedFile:
    """One file, whatever its name becomes; open or not.

    Its lines keep the name it was first seen under. Overwritten content is known by a size below what was read, or by
    other first bytes. (A file overwritten with the same first KiB and grown past what was read looks merely grown.)
    """

    def __init__(self, sighting: Sighting, start: Start, max_line_bytes: int, counts: SourceCounts) -> None:
        self.key: FileKey = sighting.key
        self.path = sighting.path
        self.stamp: Stamp = sighting.stamp
        """As of the last look at the file."""
        self.queued = False
        self.lost_s: float | None = None
        """Since when no glob names the file."""
        self.grown_s = 0.0
        self._fd: int | None = None
        self._end_stamp: Stamp | None = None  # the stamp when everything there was had been read
        self._met = False  # it has been open before
        self._pattern = sighting.pattern
        tags = {"filename": printable(sighting.path), **sighting.source.tags}
        self._head = envelope_head(sighting.source.source_id, sighting.source.instance_id, tags)
        self._err = sighting.source.err
        self._max_line_bytes = max_line_bytes
        self._counts = counts
        self._begin(start.offset, start.fingerprint)

    @property
    def is_open(self) -> bool:
        """Whether a file descriptor is held."""
        return self._fd is not None

    @property
    def held(self) -> int:
        """Bytes of a line whose end has not been seen yet."""
        return self._splitter.held

    @property
    def offset(self) -> int:
        """Where to read on."""
        return self._splitter.read_offset

    @property
    def at_end(self) -> bool:
        """Whether nothing has been written since the file was read to its end."""
        return self.stamp == self._end_stamp

    @property
    def settled(self) -> bool:
        """Whether every line of the present content that was read has been sent and settled."""
        return self._settlement.offset == self._splitter.offset

    @property
    def position(self) -> Position:
        """Where to start again if this process died now."""
        return Position(self.path, self._pattern, self._settlement.offset, self._fingerprint)

    def open(self) -> None:
        """Open the file at its path. Raises `OSError`, also when by now another file is there."""
        if self._fd is not None:
            return
        # Should a FIFO have come in the place of the file, O_NONBLOCK keeps the open from waiting for its writer.
        fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            self._recognise(os.fstat(fd))
            self._meet(fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def close(self) -> None:
        """Let go of the file descriptor; the file can be opened again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def look(self) -> Stamp:
        """See the open file again, wherever it is by now."""
        self.stamp = stamp_of(os.fstat(self._descriptor))
        return self.stamp

    def continues(self) -> bool:
        """Whether the open file begins as it did, and goes on after what was read."""
        return self._fingerprint.matches(self._first_bytes()) and self.look().size > self.offset

    def read(self, now: float, chunk_bytes: int) -> tuple[list[Reading], int]:
        """Read the next chunk of the open file; returns its lines and its size. Afterwards see `at_end`."""
        stamp = self.look()
        head = self._first_bytes()
        if stamp.size < self.offset or not self._fingerprint.matches(head):
            return self._start_over(), 0
        chunk = os.pread(self._descriptor, chunk_bytes, self.offset)
        if len(chunk) < chunk_bytes:
            self._end_stamp = stamp
        if not chunk:
            return [], 0
        self.grown_s = now
        self._learn(head, chunk)
        return self._readings(self._splitter.feed(chunk)), len(chunk)

    def flush(self) -> list[Reading]:
        """Give out the held beginning of a line without waiting for its end."""
        return self._readings(self._splitter.flush())

    @property
    def _descriptor(self) -> int:
        assert self._fd is not None, "the file is not open"
        return self._fd

    def _first_bytes(self) -> bytes:
        return os.pread(self._descriptor, FINGERPRINT_BYTES, 0)

    def _begin(self, offset: int, fingerprint: Fingerprint) -> None:
        self._splitter = LineSplitter(self._max_line_bytes, offset)
        self._settlement = Settlement(offset)
        self._fingerprint = fingerprint

    def _recognise(self, status: os.stat_result) -> None:
        if key_of(status) != self.key or not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(f"another file is at {printable(self.path)}")

    def _meet(self, fd: int) -> None:
        """When it is opened for the first time, see how the file begins and whether the start is amid a line."""
        if self._met:
            return
        self._met = True
        if not self.offset:
            return
        if not self._fingerprint.size:
            self._fingerprint = Fingerprint.of(os.pread(fd, min(FINGERPRINT_BYTES, self.offset), 0))
        mid_line = os.pread(fd, 1, self.offset - 1) != b"\n"
        self._splitter = LineSplitter(self._max_line_bytes, self.offset, mid_line=mid_line)

    def _start_over(self) -> list[Reading]:
        """The content is another: give out what is held of the old one, and begin at the beginning."""
        readings = self.flush()
        log.info("file_truncated", path=printable(self.path), read=self.offset, size=self.stamp.size)
        self._counts.truncations += 1
        self._end_stamp = None
        self._begin(0, Fingerprint())
        return readings

    def _learn(self, head: bytes, chunk: bytes) -> None:
        """Make the fingerprint as long as what has been read, while that is little."""
        if self._fingerprint.size < FINGERPRINT_BYTES:
            self._fingerprint = Fingerprint.of(head[: self.offset] + chunk[:FINGERPRINT_BYTES])

    def _readings(self, runs: list[Run]) -> list[Reading]:
        return [Reading(run, self._head, self._err, self._settlement) for run in runs]
