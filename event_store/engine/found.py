"""What was found in segments is remembered: they never change. Bounded; what was not asked for longest is forgotten."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

Places: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
"""The `seq` of events."""
Key: TypeAlias = tuple[str, frozenset[str]]
"""A segment, and what was looked for."""

_ENTRY_BYTES = 512


@dataclass(slots=True)
class Found:
    """Remembers the events of a segment that have a text; None where they are too many to say. From any thread."""

    max_bytes: int
    bytes: int = 0
    _known: OrderedDict[Key, Places | None] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Key) -> Places | None:
        """Return what is known; KeyError if nothing is."""
        with self._lock:
            self._known.move_to_end(key)
            return self._known[key]

    def put(self, key: Key, places: Places | None) -> None:
        """Remember."""
        with self._lock:
            self._forget(key)
            self._known[key] = places
            self.bytes += _size(key, places)
            while self.bytes > self.max_bytes:
                self._forget(next(iter(self._known)))

    def _forget(self, key: Key) -> None:
        if key in self._known:
            self.bytes -= _size(key, self._known.pop(key))


def _size(key: Key, places: Places | None) -> int:
    return _ENTRY_BYTES + sum(map(len, key[1])) + (0 if places is None else places.nbytes)
