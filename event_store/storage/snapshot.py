"""What a store holds at one moment: each event once, for a query to read; and in numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from event_store.storage import index_files, segments
from event_store.storage.crypto import Keyring
from event_store.storage.errors import SegmentDamaged
from event_store.storage.index import Index
from event_store.storage.manifest import Gone, Segment
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
    keys: Keyring | None = field(default=None, repr=False)
    held: object = field(default=None, repr=False, compare=False)
    """What keeps the files of the segments on disk as long as it lives."""
    report: Callable[[Segment, str], object] = field(default=lambda *_: None, repr=False, compare=False)
    """Is told what is wrong with the index of a segment."""

    @cached_property
    def columns(self) -> frozenset[str]:
        """The names of all columns that any part of it has."""
        every: set[frozenset[str]] = {one.columns for one in self.segments} | {
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

    def read(self, segment: Segment, columns: Collection[str] | None = None) -> pa.Table:
        """Read a segment, sealed or not, or some of its columns; StoreLocked, SegmentDamaged."""
        return segments.read(self.folder, segment, self.keys, columns)

    def dataset(self, segment: Segment) -> ds.Dataset:
        """Open a segment, sealed or not, to be read as need be; StoreLocked, OSError or ArrowException."""
        return segments.dataset(self.folder, segment, self.keys)

    def index(self, segment: Segment) -> Index | None:
        """Read what lies beside a segment; None if there is nothing, or it is damaged or gone. StoreLocked."""
        try:
            return index_files.read(self.folder, segment, self.keys)
        except SegmentDamaged as error:
            self.report(segment, str(error))
        except OSError:  # nobody can tell now, as when too many files are open
            pass
        return None


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store holds, in numbers."""

    events: int
    segments: int
    segment_bytes: int
    """Without what lies beside them."""
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
    gone: Gone = field(default_factory=Gone)
    """What was not to be kept any longer, since the store began."""
    index_bytes: int = 0
    """What lies beside the segments."""
