"""The log of one store and those of its events that are in it alone, in memory: each append is on disk when it returns.

Appends that come at the same time from several threads are forced to disk together.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa

from event_store.storage.errors import StoreClosed
from event_store.storage.frames import pack
from event_store.storage.recovery import WAL, Recovered
from event_store.storage.schema import merged, numbered
from event_store.storage.wal import Wal
from plumbing.spool import Frame


@dataclass(slots=True)
class _Append:
    """One append on its way to disk."""

    batch: pa.RecordBatch
    frame: Frame
    marks: tuple[bytes, ...]
    """Those of the frame, where they may be sealed."""
    end: int = -1
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.end >= 0 or self.error is not None


class Journal:
    """What was appended, until it is in segments. Appends, and `oldest`, are for any thread; the rest needs `lock`."""

    def __init__(self, recovered: Recovered, remembered_bytes: int, clock: Callable[[], float]) -> None:
        self.lock = threading.Lock()
        """Of the log, and of what is in memory."""
        self.hot = recovered.hot
        self.next_seq = recovered.next_seq
        self.oldest = clock() if self.hot.rows else None
        """Since when something waits in memory."""
        self._folder = recovered.folder
        self._keys = recovered.keys
        self._remembered_bytes = remembered_bytes
        self._clock = clock
        self._marks = deque(recovered.marks)
        self._marks_bytes = sum(map(len, self._marks))
        self._wal = Wal(self._folder / WAL, recovered.manifest.id)
        self._waiting: deque[_Append] = deque()
        self._is_closed = False

    @property
    def marks(self) -> tuple[bytes, ...]:
        """The marks of the appends that came last, the latest last."""
        return tuple(self._marks)

    @property
    def bytes_on_disk(self) -> int:
        """What the log has."""
        return self._wal.bytes_on_disk()

    def append(self, batches: Sequence[pa.RecordBatch], marks: bytes) -> int:
        """Keep events and their mark; returns the place behind the last of them. Takes the lock.

        OSError and MemoryError say that nothing of them is kept; so do StoreClosed, and ValueError of too many events.
        """
        known = (marks,) if marks else ()
        batch = merged(batches)
        work = _Append(batch, pack(batch, known, self._keys), known)
        self._waiting.append(work)
        with self.lock:
            if not work.is_done:
                self._commit()
        if work.error is not None:
            raise work.error
        return work.end

    def begin_flush(self) -> tuple[tuple[pa.RecordBatch, ...], int]:
        """Return what is in memory, and the place behind it, where the log's next file begins."""
        batches, boundary = self.hot.batches, self.next_seq
        if batches and not self._wal.begins_at(boundary):  # as it does after a flush that failed
            self.hot.fix()
            self._wal.rotate()
            if self._marks:  # all that the next file holds of what is flushed
                self._append_to_log([pack(None, self.marks, self._keys)])
        return batches, boundary

    def end_flush(self, boundary: int) -> None:
        """Let go of what stands before a place in memory."""
        self.hot.drop(boundary)
        self.oldest = self._clock() if self.hot.rows else None

    def shorten(self, boundary: int) -> None:
        """Remove the files of the log that hold nothing else than what stands before a place. Needs no lock."""
        with suppress(OSError):  # the next flush, or the next start, removes them
            self._wal.remove(boundary)

    def close(self) -> None:
        """Take nothing more."""
        self._is_closed = True
        self._wal.rotate()
        with suppress(OSError):  # the next start does it
            self._wal.settle()

    def _commit(self) -> None:
        """Write down all that waits, as one."""
        works = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            ends = [*accumulate((work.batch.num_rows for work in works), initial=self.next_seq)]
            batches = [numbered(work.batch, first) for work, first in zip(works, ends, strict=False)]
            self._append_to_log([work.frame for work in works])
        except Exception as error:  # whoever waits is told
            for work in works:
                work.error = error
            return
        for work, batch, end in zip(works, batches, ends[1:], strict=True):
            self.hot.add(batch)
            self.next_seq = end
            self._remember(work.marks)
            work.end = end
        if self.oldest is None:
            self.oldest = self._clock()

    def _append_to_log(self, frames: Sequence[Frame]) -> None:
        if self._is_closed:
            raise StoreClosed(f"the store in {self._folder} is closed")
        try:
            self._wal.append(frames, self.next_seq)
        except Exception:
            self.next_seq += 1 + sum(frame.count for frame in frames)  # a reader may have seen them at these places
            raise

    def _remember(self, marks: tuple[bytes, ...]) -> None:
        self._marks += marks
        self._marks_bytes += sum(map(len, marks))
        while self._marks_bytes > self._remembered_bytes and len(self._marks) > 1:  # the last stay, however many
            self._marks_bytes -= len(self._marks.popleft())
