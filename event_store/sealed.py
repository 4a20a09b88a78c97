"""The events of a store that are in segments, in the order in which they came: what is sent elsewhere is read here.

Places (`seq`) are the events' own, so it does not matter which segments hold them, nor that they are compacted
meanwhile. What has no event at its place was removed by retention, is set aside as damaged, or was never there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from event_store.model import FIELD, TAG
from event_store.storage import (
    Damage,
    Segment,
    SegmentDamaged,
    Snapshot,
    StoreClosed,
    StoreFull,
    StoreMissing,
    schema,
    verifying,
)
from event_store.storage.manifest import load

Suspects: TypeAlias = Callable[[Collection[str]], Iterable[Damage]]
"""Looks at segments that cannot be read, by their files, and returns those that are done without from now on."""

_READ_AHEAD = 1  # row groups, and files: as much as two of them is in memory beside what was asked for


class _Unreadable(Exception):
    """A segment could not be read, for the reason that is the cause of this."""

    def __init__(self, segment: Segment) -> None:
        super().__init__(segment.file)
        self.segment = segment


class Sealed:
    """Reads what is in segments, from the store itself or from a reader of it. From one thread at a time."""

    def __init__(self, folder: Path, snapshot: Callable[[], Snapshot], suspects: Suspects = lambda _: ()) -> None:
        self._folder = folder
        self._snapshot = snapshot
        self._suspects = suspects
        self._sound: set[str] = set()
        self._passed_over: set[str] = set()

    def store(self) -> tuple[str, int]:
        """Say which store it is, whatever its folder is called, and the place up to which it ever had segments.

        StoreMissing if there is none.
        """
        manifest = load(self._folder)
        if manifest is None:
            raise StoreMissing(f"there is no store in {self._folder}")
        return f"{manifest.id:016x}", manifest.flushed

    def end(self) -> int:
        """Return a place before which no event is that is not in a segment."""
        snapshot = self._snapshot()
        if snapshot.hot:
            return int(snapshot.hot[0].column("seq")[0].as_py())
        return max((segment.max_seq + 1 for segment in snapshot.segments), default=0)

    def cut(self, start: int, end: int, *, most_rows: int, most_bytes: int) -> int:
        """Say up to which place, `end` at most, events from `start` on may be read at once: by rows, and by memory."""
        snapshot = self._snapshot()
        overlapping = _overlapping(snapshot.segments, start, min(end, start + most_rows))
        if not overlapping:
            later = [one.min_seq for one in snapshot.segments if start < one.min_seq < end]
            return min(later, default=end)  # nothing is there
        widest = max(_row_bytes(snapshot, segment) for segment in overlapping)
        return min(end, start + max(1, min(most_rows, int(most_bytes / widest))))

    def read(self, start: int, end: int) -> pa.Table:
        """Read the events at these places, in order of them, those of segments apart that are done without.

        SegmentDamaged if one cannot be read that is not.
        """
        snapshot = self._snapshot()
        while True:
            try:
                return self._read(snapshot, start, end)
            except _Unreadable as error:
                self._doubt(error.segment)
                snapshot = self._snapshot()
                if error.segment in snapshot.segments and error.segment.file not in self._passed_over:
                    why = f"{error}: {error.__cause__}"
                    raise SegmentDamaged(f"events {start} to {end} cannot be read: {why}") from error.__cause__

    def _read(self, snapshot: Snapshot, start: int, end: int) -> pa.Table:
        place = pc.field("seq")
        wanted = (place >= start) & (place < end)
        batches: list[pa.RecordBatch] = []
        self._sound.intersection_update(segment.file for segment in snapshot.segments)
        for segment in _overlapping(snapshot.segments, start, end):
            if segment.file not in self._passed_over:
                try:
                    batches += self._rows(snapshot, segment, wanted)
                except (OSError, pa.ArrowException, SegmentDamaged) as error:
                    raise _Unreadable(segment) from error
        if not batches:
            return pa.table({"seq": pa.array([], pa.int64())})
        return schema.joined(batches).unify_dictionaries().sort_by("seq")

    def _rows(self, snapshot: Snapshot, segment: Segment, wanted: pc.Expression) -> list[pa.RecordBatch]:
        """Read what is wanted of a segment, all of it at first: elsewhere nobody would see that a bit is wrong."""
        if segment.file not in self._sound:
            verifying.verify(self._folder, segment)
            self._sound.add(segment.file)
        found = snapshot.dataset(segment).scanner(
            filter=wanted, batch_readahead=_READ_AHEAD, fragment_readahead=_READ_AHEAD
        )
        return [batch for batch in found.to_batches() if batch.num_rows]

    def _doubt(self, segment: Segment) -> None:
        """Have a segment looked at that cannot be read: it may be damaged, or was replaced meanwhile."""
        self._sound.discard(segment.file)
        with suppress(OSError, StoreClosed, StoreFull):  # nobody can tell now
            self._passed_over.update(damage.file for damage in self._suspects((segment.file,)))


def columns_to_add(events: pa.Table, known: Collection[str], most: int) -> list[str]:
    """Choose the tags and fields that get a column elsewhere, the fullest first: `most` with those that are `known`."""
    new = [name for name in events.column_names if name.startswith((TAG, FIELD)) and name not in known]
    room = most - sum(name.startswith((TAG, FIELD)) for name in known)
    return sorted(new, key=lambda name: (events[name].null_count, name))[: max(0, room)]


def _overlapping(every: Iterable[Segment], start: int, end: int) -> list[Segment]:
    return [segment for segment in every if segment.min_seq < end and segment.max_seq >= start]


def _row_bytes(snapshot: Snapshot, segment: Segment) -> float:
    """Estimate what an event of a segment takes in memory, from what its columns take before compression."""
    try:
        parts = [part.metadata for part in snapshot.dataset(segment).get_fragments()]
    except (OSError, pa.ArrowException):  # whoever reads it sees whether it is gone or damaged
        return 1.0
    size = sum(part.row_group(group).total_byte_size for part in parts for group in range(part.num_row_groups))
    return float(max(1, size)) / max(1, segment.rows)
