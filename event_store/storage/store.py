"""The store as its one writer has it: what was appended outlives the process and the machine.

In:    batches of events, appended to the log and forced to disk before `append` returns.
Out:   snapshots; segments, into which events are flushed by number, size and age.
Drops: what the settings say is kept no longer, counted; what the disk damaged is set aside and reported.

All methods block, and may be called from any thread. Whoever owns the store calls `flush` from a thread of its own when
it is `flush_due`, and `compact` now and then from another: writing and flushing go on meanwhile.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from event_store.storage import quarantine, segments
from event_store.storage.checks import Checks
from event_store.storage.config import StorageSettings
from event_store.storage.crypto import read_keys
from event_store.storage.errors import StoreClosed, StoreDamaged, StoreFull
from event_store.storage.journal import Journal
from event_store.storage.lock import lock_folder
from event_store.storage.manifest import Gone, Segment, load, save
from event_store.storage.names import Names
from event_store.storage.parquet import Layout
from event_store.storage.quarantine import Damage
from event_store.storage.recovery import Recovered, recover
from event_store.storage.removal import Removal
from event_store.storage.schema import check
from event_store.storage.snapshot import Snapshot, StoreStats
from event_store.storage.tending import Tending
from plumbing.private_files import sync_directory

_MOST_PAUSE_S = 10e-6
"""For each event of an append, when two flushes wait, nearly: then 100,000 a second come in, and far more go out."""


class Store:
    """The writer of one folder."""

    def __init__(
        self,
        lock: int,
        recovered: Recovered,
        settings: StorageSettings,
        clock: Callable[[], float] = time.monotonic,
        recovery_s: float = 0.0,
    ) -> None:
        self.folder = recovered.folder
        self._settings = settings
        self._layout = Layout(row_group_rows=settings.row_group_rows, zstd_level=settings.zstd_level)
        self._clock = clock
        self._recovery_s = recovery_s
        self._folder_lock = lock
        self._keys = recovered.keys
        self._manifest = recovered.manifest
        self._damages = recovered.damages
        self._unindexed: dict[Segment, Damage] = {}
        self._names = Names(recovered.columns)
        self._journal = Journal(recovered, settings.remembered_bytes, clock)
        self._writing = self._journal.lock  # of the manifest, too, for whoever reads it
        self._changing = threading.Lock()  # the manifest; taken before the other
        self._compacting = threading.Lock()  # taken before both
        self._removal = Removal(self.folder, settings.remove_after_s, clock)
        self._tending = Tending(self.folder, settings, self._keys, self)
        self.checks = Checks(self, self._manifest.segments, clock, self._tending.stop)
        self._closed = False

    @classmethod
    def open(
        cls,
        folder: Path,
        settings: StorageSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> Store:
        """Open the store in `folder` (made if need be, 0700) for writing, and recover what is in it.

        StoreBusy if another process writes to it; StoreDamaged or StoreLocked if it cannot be read as a whole; OSError
        if the folder cannot be had.
        """
        began = time.perf_counter()
        keys = None if settings.key_file is None else read_keys(settings.key_file)
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_directory(folder.parent)
        lock = lock_folder(folder)
        try:
            recovered = recover(folder, keys)
            return cls(lock, recovered, settings, clock, time.perf_counter() - began)
        except BaseException:
            os.close(lock)
            raise

    def append(self, batches: Sequence[pa.RecordBatch], marks: bytes = b"") -> int:
        """Keep events, and what whoever sent them wants to know them by: on disk when this returns.

        Returns the place (`seq`) behind the last of them. All of them are kept or, after an error, none: StoreFull if
        the disk does not take them, or memory; StoreClosed after `close`; ValueError, naming the column, if a batch is
        none that can be kept, or if they are too many for one frame of the log (64 MiB, 1 GiB before it is compressed).
        Where flushes do not keep up, appends take longer, the more so the more waits.
        """
        for batch in batches:
            check(batch)
        batches = [self._names.settled(batch) for batch in batches if batch.num_rows]
        if not batches:
            return self._journal.next_seq
        if self._fill >= 2:
            self._make_room()
        elif self._fill > 1:  # sooner a little late each than one of them, in the end, as late as a flush takes
            time.sleep((self._fill - 1) ** 2 * _MOST_PAUSE_S * sum(batch.num_rows for batch in batches))
        try:
            return self._journal.append(batches, marks)
        except (OSError, MemoryError) as error:
            raise self._full(error) from error

    def marks(self) -> tuple[bytes, ...]:
        """Return the marks of the appends that came last, those before a restart included, the latest last."""
        with self._writing:
            return self._journal.marks

    def flush_due(self) -> bool:
        """Whether so much waits in memory, or so long, that it should be flushed."""
        oldest = self._journal.oldest
        return self._fill >= 1 or (oldest is not None and self._clock() - oldest >= self._settings.flush_s)

    def flush(self) -> None:
        """Make segments of what is in memory; StoreFull if the disk does not take them: then it stays where it is.

        StoreClosed after `close`.
        """
        with self._changing:
            self._check_open()
            try:
                with self._writing:
                    batches, boundary = self._journal.begin_flush()
                if not batches:
                    return
                made = segments.write_all(self.folder, batches, self._layout, self._keys)
                manifest = self._manifest.changed(add=made, flushed=boundary)
                with self._undone(made):
                    save(self.folder, manifest)
            except OSError as error:
                raise self._full(error) from error
            except (pa.ArrowException, ValueError, MemoryError) as error:  # nobody's append is to blame
                raise StoreFull(f"cannot make segments of the store in {self.folder}: {error!r}") from error
            with self._writing:
                self._manifest = manifest
                self._journal.end_flush(boundary)
            self._journal.shorten(boundary)

    def compact(self, now_ns: int | None = None, *, everything: bool = False) -> int:
        """Let go of what is kept no longer, and join segments of an hour, sorted; returns how many went into others.

        `everything` does not wait until an hour is over, and seals with the key of now what is sealed with another, or
        not at all. StoreFull if the disk does not take it: then all is as it was. It takes seconds for each million.
        """
        with self._compacting:
            try:
                return self._tending.tend(time.time_ns() if now_ns is None else now_ns, everything=everything)
            except OSError as error:
                raise self._full(error) from error
            finally:
                with self._changing:
                    with self._writing:
                        oldest = self._removal.oldest()
                    self._removal.sweep(oldest)

    def segments(self) -> tuple[Segment, ...]:
        """Return what there is on disk now, the newest last; its files may go at any time, but for a snapshot's."""
        return self._manifest.segments

    def replace(self, old: Sequence[Segment], new: Iterable[Segment], gone: Gone) -> bool:
        """Put segments in the place of others, at once; False if one of those is no more.

        Then, and after an error, nothing is changed, and the new ones are no more.
        """
        new = tuple(new)
        with self._changing, self._undone(new):
            is_done = self._change(old, new, gone)
            if is_done:
                self._removal.retire(old, self._manifest.version)
        if not is_done:
            for segment in new:
                segments.remove(self.folder, segment)
        return is_done

    def amend(self, old: Segment, new: Segment) -> None:
        """Put in the place of a segment, if it is still there, the same one with another index."""
        with self._changing:
            if not self._change((old,), (new,), Gone()):
                (self.folder / new.index_file).unlink(missing_ok=True)

    def unindexed(self) -> tuple[Segment, ...]:
        """Return the segments that have no index, or one that was found damaged."""
        with self._writing:
            return tuple(one for one in self._manifest.segments if not one.index_bytes or one in self._unindexed)

    def snapshot(self) -> Snapshot:
        """Return what there is now: every event that was acknowledged, once. Its files stay as long as it lives."""
        with self._writing:
            manifest = self._removal.lend(self._manifest)
            return Snapshot(
                self.folder,
                manifest.version,
                manifest.segments,
                self._journal.hot.batches,
                self._keys,
                manifest,
                self.note_index,
            )

    def verify(self) -> tuple[Damage, ...]:
        """Read every segment and set aside those that are not what was written; the rest serves. Takes its time.

        One whose index is damaged serves without it until `compact` has made it anew. `checks` does it bit by bit.
        """
        snapshot = self.snapshot()  # its files stay
        return self.checks.all(snapshot.segments)

    @property
    def damages(self) -> tuple[Damage, ...]:
        """What was found damaged since this store was opened."""
        with self._writing:
            return tuple(self._damages)

    def set_aside(self, bad: dict[Segment, str]) -> tuple[Damage, ...]:
        """Take segments out of the store, and say what is wrong with each."""
        with self._changing:
            still = [segment for segment in bad if segment in self._manifest.segments]
            if not still:
                return ()
            found = tuple(quarantine.keep_segment(self.folder, one, bad[one]) for one in still)
            try:
                self._change(still, (), Gone())
            except OSError as error:
                raise self._full(error) from error
            with self._writing:
                self._damages += found
            for segment in still:
                quarantine.let_go(self.folder, segment)
        return found

    def note_index(self, segment: Segment, what: str) -> Damage | None:
        """Note, once, that the index of a segment is damaged; None if the segment is no more."""
        with self._writing:
            if segment not in self._manifest.segments:
                return None
            if segment not in self._unindexed:
                damage = quarantine.reported(self.folder, Damage(segment.index_file, what, 0))
                self._unindexed[segment] = damage
                self._damages.append(damage)
            return self._unindexed[segment]

    def stats(self) -> StoreStats:
        """Count what there is."""
        with self._writing:
            manifest, hot_rows, hot_bytes = self._manifest, self._journal.hot.rows, self._journal.hot.bytes
            next_seq, damages = self._journal.next_seq, tuple(self._damages)
        return StoreStats(
            events=sum(segment.rows for segment in manifest.segments) + hot_rows,
            segments=len(manifest.segments),
            segment_bytes=sum(segment.bytes for segment in manifest.segments),
            index_bytes=sum(segment.index_bytes for segment in manifest.segments),
            hot_events=hot_rows,
            hot_bytes=hot_bytes,
            wal_bytes=self._journal.bytes_on_disk,
            next_seq=next_seq,
            version=manifest.version,
            set_aside=quarantine.count(self.folder),
            damages=damages,
            recovery_s=self._recovery_s,
            gone=manifest.gone,
        )

    def close(self) -> None:
        """Let go of the folder. What is in memory is in the log, and is found there when the store is opened next."""
        self._tending.stop.set()
        with self._compacting, self._changing, self._writing:
            if not self._closed:
                self._closed = True
                self._journal.close()
                os.close(self._folder_lock)

    def _change(self, old: Sequence[Segment], new: Iterable[Segment], gone: Gone) -> bool:
        """Save a manifest without some segments, and with others; False if one of the old ones is no more."""
        self._check_open()
        if not set(old).issubset(self._manifest.segments):
            return False
        manifest = self._manifest.changed(add=new, remove={segment.file for segment in old}, gone=gone)
        save(self.folder, manifest)
        with self._writing:
            self._manifest = manifest
            for segment in old:
                self._unindexed.pop(segment, None)
        return True

    @contextmanager
    def _undone(self, made: Iterable[Segment]) -> Iterator[None]:
        """Remove segments that were made if the block fails, unless they are in the manifest, known or not."""
        try:
            yield
        except BaseException:
            with suppress(OSError, StoreDamaged):  # nobody can tell, then: the next start removes them
                if load(self.folder) == self._manifest:
                    for segment in made:
                        segments.remove(self.folder, segment)
            raise

    @property
    def _fill(self) -> float:
        """How much waits in memory, in flushes."""
        settings, hot = self._settings, self._journal.hot
        return max(hot.rows / settings.flush_rows, hot.bytes / settings.flush_bytes)

    def _make_room(self) -> None:
        """Wait for a flush that runs; flush if there is none, or it was not enough."""
        with self._changing:
            is_over = self._fill >= 2
        if is_over:
            self.flush()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"the store in {self.folder} is closed")

    def _full(self, error: OSError | MemoryError) -> StoreFull:
        why = (error.strerror or error) if isinstance(error, OSError) else f"no memory: {error!r}"
        return StoreFull(f"cannot write to the store in {self.folder}: {why}")
