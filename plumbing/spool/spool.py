"""A queue of batches on disk, in segments: the oldest is read from, the newest appended to.

In:    frames, as many as there are at once: one write.
Out:   the same, in order; again after a restart, until they are committed.
Drops: the oldest segment, when there is no room; what is corrupt. Both are counted in envelopes.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

import structlog

from plumbing.spool.errors import SpoolBusy, SpoolUnwritable
from plumbing.spool.frames import HEAD_BYTES, Frame, Kept, encode, read_body
from plumbing.spool.position import Position
from plumbing.spool.recovery import recover
from plumbing.spool.segment import Place, Segment, read_at

log = structlog.get_logger(__name__)

Sync: TypeAlias = Literal["never", "segment", "always"]

_SMALLEST_SEGMENT, _LARGEST_SEGMENT = 64 << 10, 16 << 20
_EPOCH_BITS = 32  # of a seq: what each opening has to itself, so that none is ever given twice


class Spool:
    """Holds batches in the files of one directory. Blocking file I/O, by one thread at a time.

    `recovered + put_total == done_total + dropped_total + corrupt_total + held` after every call, in envelopes.
    `faults_total` counts what the disk refused and nothing is lost by: a file that could not be removed, which stays
    until the spool is opened again; a position that could not be written, so that more comes again after a kill.
    """

    def __init__(self, lock: int, directory: Path, max_bytes: int, sync: Sync) -> None:
        self._lock = lock
        self._directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = min(max(max_bytes // 16, _SMALLEST_SEGMENT), _LARGEST_SEGMENT)
        self._sync = sync
        self._position = Position.open(directory)
        self._segments, self._marks = recover(directory, self._position)
        self._active: Segment | None = None
        self._handed: deque[Place] = deque()
        """Read and not committed."""
        self._again: deque[Place] = deque()
        """To be read once more, before anything else."""
        self._disk_bytes = sum(segment.size for segment in self._segments)
        self.id = self._position.id
        self.recovered = self.held = sum(segment.held for segment in self._segments)
        self.put_total = self.done_total = self.dropped_total = self.corrupt_total = self.faults_total = 0
        self.adrift = 0
        """Of `held`, what was read before its segment was dropped: no file has it any more."""
        self._marks = self._marks._replace(last_seq=((self._marks.last_seq >> _EPOCH_BITS) + 1) << _EPOCH_BITS)
        self._position.remember(self._marks)
        self._position.sync()

    @classmethod
    def open(cls, directory: Path, *, max_bytes: int, sync: Sync = "never") -> Spool:
        """Open the spool in `directory` (made if need be, 0700) and recover what is in it.

        Its files together have `max_bytes`, or one segment if that is more, and what is being `put` beyond it for a
        moment. A segment has a sixteenth of that, between 64 KiB and 16 MiB, or one frame if that is larger.
        SpoolBusy if another process has it open; OSError if the directory cannot be had, or not be written to.
        `sync` says when the disk is made sure of: what was put outlives the process in any case, and a crash of the
        machine only when forced to disk with its `segment`, or `always`, before `put` returns.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(lock, directory, max_bytes, sync)
        except BlockingIOError as error:
            os.close(lock)
            raise SpoolBusy(f"another process uses the spool in {directory}") from error
        except BaseException:
            os.close(lock)
            raise

    @property
    def held_bytes(self) -> int:
        """Bytes on disk that are not done with."""
        return sum(segment.left for segment in self._segments)

    def put(self, frames: Sequence[Frame]) -> None:
        """Append `frames`, and drop the oldest segments where there is no room for them.

        SpoolUnwritable (the disk is full, say) leaves the spool as it was; ValueError if a frame is too large.
        """
        if not frames:
            return
        runs = self._runs(frames)
        try:
            self._write([(segment, data) for segment, data, _ in runs])
        except OSError as error:
            for segment, _, _ in runs:
                segment.cut()
            raise SpoolUnwritable(f"cannot write to the spool in {self._directory}: {error}") from error
        self._count(runs)
        self._make_room()
        self._remember()

    def read(self, max_bytes: int) -> list[Kept]:
        """Return the next batches behind those read so far, in order, up to `max_bytes` on disk but at least one.

        Empty means that all have been read. What is corrupt is passed over, and counted. OSError says that nothing can
        be read now, for want of file handles, say; what was read before that is returned.
        """
        found: list[Kept] = []
        try:
            self._read_into(found, max_bytes)
        except OSError:
            if not found:
                raise
        return found

    def _read_into(self, found: list[Kept], room: int) -> None:
        while self._again and (not found or room >= self._again[0].head.frame_bytes):
            place = self._again[0]
            with place.segment.open() as file:
                self._take(place, file, found)
            self._again.popleft()
            room -= place.head.frame_bytes
        if self._again:
            return
        for segment in [segment for segment in self._segments if segment.unread]:
            if found and room <= 0:
                break
            room = self._read_segment(segment, room, found)

    def commit(self, seq: int) -> None:
        """Let go of everything read up to and with `seq`: it never comes again, in this process or another."""
        for places in (self._handed, self._again):
            while places and places[0].head.seq <= seq:
                place = places.popleft()
                self.done_total += place.head.envelopes
                self.adrift -= place.head.envelopes if place.segment.dropped else 0
                self._let_go(place.segment, place.head.envelopes, place.head.frame_bytes)
                self._marks = self._marks._replace(done=place.head.end, done_seq=place.head.seq)
        self._remember()

    def rewind(self) -> None:
        """Read again from behind the last commit; what was dropped meanwhile is counted now."""
        self.dropped_total += self.adrift
        self.held -= self.adrift
        self.adrift = 0
        self._again.extendleft(place for place in reversed(self._handed) if not place.segment.dropped)
        self._handed.clear()

    def close(self) -> None:
        """Let go of all files, and of the directory."""
        if self._active is not None:
            if self._sync != "never":
                with self._tolerating():
                    self._active.sync()
            self._active.seal()
        self._position.close()
        os.close(self._lock)

    def _runs(self, frames: Sequence[Frame]) -> list[tuple[Segment, bytes, list[Frame]]]:
        """Say what goes into which segment; the first of them is the one that is written to now."""
        seq, end = self._marks.last_seq, self._marks.end
        segment = self._active or Segment.new(self._directory, seq + 1, end)
        size = segment.size
        runs: list[tuple[Segment, list[bytes], list[Frame]]] = [(segment, [], [])]
        for frame in frames:
            seq += 1
            head_and_body = encode(frame, seq, end, self._position.seed)
            length = HEAD_BYTES + len(head_and_body[1])
            if size and size + length > self._segment_bytes:
                runs.append((Segment.new(self._directory, seq, end), [], []))
                size = 0
            runs[-1][1].extend(head_and_body)
            runs[-1][2].append(frame)
            size += length
            end += frame.count
        return [(segment, b"".join(parts), kept) for segment, parts, kept in runs]

    def _write(self, runs: Sequence[tuple[Segment, bytes]]) -> None:
        last = runs[-1][0]
        for segment, data in runs:
            segment.write(data)
            if self._sync == "always" or (self._sync == "segment" and segment is not last):
                segment.sync()
        if self._sync == "always" and last is not self._active:
            os.fsync(self._lock)  # the names of new files, too

    def _count(self, runs: Sequence[tuple[Segment, bytes, list[Frame]]]) -> None:
        for segment, data, kept in runs:
            count = sum(frame.count for frame in kept)
            if segment is not self._active:
                self._segments.append(segment)
                previous, self._active = self._active, segment
                if previous is not None:
                    previous.seal()
                    self._remove_if_done(previous)
            segment.grow(len(data), count)
            self._disk_bytes += len(data)
            self.put_total += count
            self.held += count
            self._marks = self._marks._replace(end=self._marks.end + count, last_seq=self._marks.last_seq + len(kept))

    def _make_room(self) -> None:
        while self._disk_bytes > self._max_bytes and self._segments[0] is not self._active:
            oldest = self._segments[0]
            in_hand = sum(place.head.envelopes for place in self._handed if place.segment is oldest)
            self.dropped_total += oldest.held - in_hand  # whoever has those in hand will yet commit them
            self.held -= oldest.held - in_hand
            self.adrift += in_hand
            self._again = deque(place for place in self._again if place.segment is not oldest)
            oldest.dropped = True
            self._remove(oldest)

    def _read_segment(self, segment: Segment, room: int, found: list[Kept]) -> int:
        """Read what fits into `room`, or the first that is found; returns what room is left."""
        with segment.open() as file:
            for offset, head in segment.heads(file, self._position.seed, segment.offset):
                if found and head.frame_bytes > room:
                    return 0
                self._pass(segment, offset, head.before)
                self._take(Place(segment, offset, head), file, found)
                segment.offset, segment.position = offset + head.frame_bytes, head.end
                room -= head.frame_bytes
        self._pass(segment, segment.size, segment.end)
        return room

    def _pass(self, segment: Segment, offset: int, position: int) -> None:
        """Count what stood between what was read of `segment` and the place that can be read again, if anything."""
        count, size = max(position - segment.position, 0), offset - segment.offset
        segment.offset, segment.position = offset, segment.position + count
        if count or size:
            self.corrupt_total += count
            self._let_go(segment, count, size)

    def _take(self, place: Place, file: BinaryIO, found: list[Kept]) -> None:
        body = read_at(file, place.offset + HEAD_BYTES, place.head.length)
        kept = read_body(place.head, body, self._position.seed)
        if kept is not None:
            found.append(kept)
            self._handed.append(place)
        else:
            self.corrupt_total += place.head.envelopes
            self._let_go(place.segment, place.head.envelopes, place.head.frame_bytes)

    def _let_go(self, segment: Segment, count: int, size: int) -> None:
        self.held -= count
        segment.held -= count
        segment.left -= size
        if segment is not self._active and not segment.dropped:
            self._remove_if_done(segment)

    def _remove_if_done(self, segment: Segment) -> None:
        if not segment.held and not segment.left:
            self._remove(segment)

    def _remove(self, segment: Segment) -> None:
        self._segments.remove(segment)
        self._disk_bytes -= segment.size
        with self._tolerating():
            segment.remove()

    def _remember(self) -> None:
        with self._tolerating():
            self._position.remember(self._marks)

    @contextmanager
    def _tolerating(self) -> Iterator[None]:
        """Count a fault of the disk that loses nothing, and log it each time that there are twice as many."""
        try:
            yield
        except OSError as error:
            self.faults_total += 1
            if self.faults_total.bit_count() == 1:
                log.warning("spool_fault", directory=str(self._directory), error=str(error), faults=self.faults_total)
