"""What a store holds at one moment: each event once, for a query to read; and in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from event_store.storage.manifest import Segment
from event_store.storage.quarantine import Damage


@dataclass(frozen=True)
class Snapshot:
    """Segments and batches that never change. The type of a column follows from its name: `schema.arrow_type`."""

    folder: Path
    version: int
    """Of the manifest: segments are the same where it is."""
    segments: tuple[Segment, ...]
    """The newest last."""
    hot: tuple[pa.RecordBatch, ...]
    """In order of `seq`."""

    @cached_property
    def columns(self) -> frozenset[str]:
        """The names of all columns that any part of it has."""
        every: set[frozenset[str]] = {segment.columns for segment in self.segments} | {
            frozenset(one.schema.names) for one in self.hot
        }
        return frozenset().union(*every)

    @property
    def rows(self) -> int:
        """How many events there are."""
        hot: int = sum(batch.num_rows for batch in self.hot)
        return hot + sum(segment.rows for segment in self.segments)

    def path(self, segment: Segment) -> Path:
        """Where the file of a segment is."""
        return self.folder / segment.file


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store holds, in numbers."""

    events: int
    segments: int
    segment_bytes: int
    hot_events: int
    hot_bytes: int
    wal_bytes: int
    next_seq: int
    version: int
    """Of the manifest."""
    set_aside: int
    """Things in `quarantine/`."""
    damages: tuple[Damage, ...]
    """What was found damaged since this process opened the store."""
    recovery_s: float
    """How long opening took."""
