"""The indexes of segments, kept in memory as long as there is room: they never change. From any thread."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from event_store.engine.errors import QueryFailed
from event_store.storage import Segment, Snapshot, StoreLocked
from event_store.storage.index import Index

_ENTRY_BYTES = 512


@dataclass(slots=True)
class Indexes:
    """Holds indexes of up to so many bytes; what was not asked for longest goes first."""

    max_bytes: int
    bytes: int = 0
    _known: OrderedDict[tuple[str, str], Index] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, snapshot: Snapshot, segment: Segment, *, if_room: bool = False) -> Index | None:
        """Return the index of a segment; None if it has none that can be read. QueryFailed without its key.

        `if_room`: None, too, if another would have to go for it.
        """
        key = (segment.checksum, segment.index_checksum)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
            if if_room and self.bytes + segment.index_bytes + _ENTRY_BYTES > self.max_bytes:
                return None
        try:
            index = snapshot.index(segment)
        except StoreLocked as error:
            raise QueryFailed(f"{segment.file} cannot be read: {error}") from error
        if index is None:
            return None
        with self._lock:
            if key not in self._known:
                self._known[key] = index
                self.bytes += index.nbytes + _ENTRY_BYTES
            while self.bytes > self.max_bytes:
                self.bytes -= self._known.popitem(last=False)[1].nbytes + _ENTRY_BYTES
        return index
