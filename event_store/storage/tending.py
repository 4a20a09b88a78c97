"""Keep a store in order: what is not to be kept goes, and the segments of an hour are joined.

Whatever ends it, and whenever, leaves the store as it was or as it is to be: a segment counts by the manifest alone.
Drops: events that the settings say are kept no longer, counted and logged.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from event_store.storage import index_files
from event_store.storage import segments as files
from event_store.storage.compaction import Job, carry_out, jobs
from event_store.storage.config import StorageSettings
from event_store.storage.crypto import Keyring
from event_store.storage.errors import SegmentDamaged, StoreClosed
from event_store.storage.manifest import Gone, Segment
from event_store.storage.parquet import Layout
from event_store.storage.retention import Retention
from event_store.storage.verifying import verify_all

log = structlog.get_logger(__name__)


class Changes(Protocol):
    """The segments that are tended: `event_store.storage.Store`."""

    def replace(self, old: Sequence[Segment], new: Iterable[Segment], gone: Gone) -> bool:
        """Put segments in the place of others, at once; False if one of those is no more.

        Then, and after an error, nothing is changed, and the new ones are no more.
        """

    def amend(self, old: Segment, new: Segment) -> None:
        """Put in the place of a segment, if it is still there, the same one with another index."""

    def unindexed(self) -> tuple[Segment, ...]:
        """Return the segments that have no index, or one that was found damaged."""

    def set_aside(self, bad: dict[Segment, str]) -> object:
        """Take what is damaged out of the store."""

    def segments(self) -> tuple[Segment, ...]:
        """What there is now."""


@dataclass(slots=True)
class Tending:
    """Looks after the segments of one store. Not for two threads, but `stop`."""

    folder: Path
    settings: StorageSettings
    keys: Keyring | None
    store: Changes
    stop: threading.Event = field(default_factory=threading.Event)
    """Set: whatever runs ends soon, undone."""
    _left: set[Segment] = field(default_factory=set)
    """What cannot be joined, for whatever reason: it is not tried again."""
    _sources: dict[str, frozenset[str]] = field(default_factory=dict)
    """Of segments that have too many for the manifest, by their checksum."""

    def tend(self, now_ns: int, *, everything: bool) -> int:
        """Do all there is to do now, and return how many segments went into others. OSError: no room, for example."""
        retention = Retention(self.settings, now_ns)
        self._forget()
        self._expire(retention)
        found = [one for one in self.store.segments() if one not in self._left]
        due = list(jobs(found, now_ns, self.settings, everything=everything))
        taken = {segment for job in due for segment in job}
        thinned = retention.thinned(found, self._sources_of)
        if everything and self.keys is not None:
            thinned += [one for one in found if one.key != self.keys.current]
        due += [(one,) for one in dict.fromkeys(thinned) if one not in taken]
        joined = sum(self._joined(job, retention) for job in due)
        for segment in self.store.unindexed():
            if segment not in self._left:
                self._index(segment)
        return joined

    def _forget(self) -> None:
        """Let go of what is known of segments that are no more."""
        now = self.store.segments()
        self._left.intersection_update(now)
        checksums = {segment.checksum for segment in now}
        self._sources = {checksum: names for checksum, names in self._sources.items() if checksum in checksums}

    def _expire(self, retention: Retention) -> None:
        gone = retention.expired(self.store.segments(), self._sources_of)
        if not gone:
            return
        counts = Gone(sum(one.rows for one in gone), len(gone), sum(one.bytes_on_disk for one in gone))
        if self.store.replace(gone, (), counts):
            oldest, newest = min(one.min_time for one in gone), max(one.max_time for one in gone)
            log.info("events_expired", events=counts.events, segments=len(gone), first_ns=oldest, last_ns=newest)

    def _joined(self, job: Job, retention: Retention) -> int:
        """Carry out a job; how many segments it took."""
        try:
            made = self._made(job, retention)
        except (SegmentDamaged, pa.ArrowException, ValueError, MemoryError):
            log.exception("segments_not_joined", files=[one.file for one in job])
            self._left.update(job)
            return 0
        if made is None:
            return 0
        events = sum(one.rows for one in job) - sum(one.rows for one in made)
        if self.store.replace(job, made, Gone(events)):
            if events:
                log.info("events_expired", events=events, segments=0, first_ns=job[0].min_time)
            return len(job)
        return 0

    def _made(self, job: Job, retention: Retention) -> list[Segment] | None:
        """Write what becomes of a job; None if a segment of it is damaged: the others are joined another time."""
        if not self._are_sound(job):
            return None
        layout = Layout(
            level=1, row_group_rows=self.settings.row_group_rows, zstd_level=self.settings.compact_zstd_level
        )

        def kept(table: pa.Table) -> pa.Table:
            self._proceed()
            return retention.kept(table)

        return carry_out(self.folder, job, layout, self.keys, kept)

    def _index(self, segment: Segment) -> None:
        """Make the index of a segment that has none, or a damaged one."""
        self._proceed()
        try:
            if self._are_sound((segment,)):
                self.store.amend(segment, index_files.renew(self.folder, segment, self.keys, self._proceed))
        except (SegmentDamaged, pa.ArrowException, ValueError, MemoryError):
            log.exception("segment_not_indexed", file=segment.file)
            self._left.add(segment)

    def _are_sound(self, segments: Job) -> bool:
        """Set aside those that are damaged."""
        damaged, _ = verify_all(self.folder, segments)
        if damaged:
            self.store.set_aside(damaged)
        return not damaged

    def _proceed(self) -> None:
        if self.stop.is_set():
            raise StoreClosed(f"the store in {self.folder} is closed")

    def _sources_of(self, segment: Segment) -> frozenset[str] | None:
        if segment.sources is not None:
            return segment.sources
        if segment.checksum not in self._sources:
            try:
                column = files.read(self.folder, segment, self.keys, ["source_id"], use_threads=False)["source_id"]
            except SegmentDamaged:  # `verify` sets it aside, if it is
                return None
            self._sources[segment.checksum] = frozenset(pc.unique(column).drop_null().to_pylist())
        return self._sources[segment.checksum]
