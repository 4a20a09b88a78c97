"""The indexes of segments, each read once as long as there is room in memory. From any thread."""

from __future__ import annotations

from event_store.engine.errors import QueryFailed
from event_store.engine.remembered import Remembered
from event_store.storage import Segment, Snapshot, StoreLocked
from event_store.storage.index import Index


class Indexes:
    """Holds indexes of up to so many bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.known: Remembered[tuple[str, str], Index] = Remembered(max_bytes)

    def get(self, snapshot: Snapshot, segment: Segment, *, if_room: bool = False) -> Index | None:
        """Return the index of a segment; None if it has none that can be read. QueryFailed without its key.

        `if_room`: None, too, if another would have to go for it.
        """
        key = (segment.checksum, segment.index_checksum)
        try:
            return self.known.get(key)
        except KeyError:
            if if_room and not self.known.has_room(segment.index_bytes):
                return None
        try:
            index = snapshot.index(segment)
        except StoreLocked as error:
            raise QueryFailed(f"{segment.file} cannot be read: {error}") from error
        if index is not None:
            self.known.put(key, index, index.nbytes)
        return index
