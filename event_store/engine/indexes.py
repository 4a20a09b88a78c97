"""The indexes of segments. From any thread.

What they say of columns is kept in memory as long as there is room. The filters of words are not: to read all 34 MB of
those of eight million events out of the page cache takes 5 ms of a core, and to get as much memory first, 20 to 140.
"""

from __future__ import annotations

from event_store.engine.errors import QueryFailed
from event_store.engine.remembered import Remembered
from event_store.storage import Segment, Snapshot, StoreLocked
from event_store.storage.index import Index, Values


class Indexes:
    """Reads indexes, and holds up to so many bytes of what they say of columns."""

    def __init__(self, max_bytes: int) -> None:
        self.known: Remembered[tuple[str, str], Values] = Remembered(max_bytes)

    def values(self, snapshot: Snapshot, segment: Segment) -> Values | None:
        """Return which values the columns of a segment have; None if nobody knows. QueryFailed without its key.

        None, too, if those of another would have to go for it.
        """
        try:
            return self.known.get(_key(segment))
        except KeyError:
            index = self.read(snapshot, segment) if self.known.has_room(segment.index_bytes) else None
        return index.values if index is not None else None

    def read(self, snapshot: Snapshot, segment: Segment) -> Index | None:
        """Read the index of a segment; None if it has none that can be read. QueryFailed without its key."""
        try:
            index = snapshot.index(segment)
        except StoreLocked as error:
            raise QueryFailed(f"{segment.file} cannot be read: {error}") from error
        if index is not None:
            self.known.put(_key(segment), index.values, index.values.nbytes)
        return index


def _key(segment: Segment) -> tuple[str, str]:
    return segment.checksum, segment.index_checksum
