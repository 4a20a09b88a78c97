"""What took long to find or to read is kept in memory as long as there is room: it never changes. From any thread."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ENTRY_BYTES = 512
"""What an entry takes beside its content."""


class Remembered(Generic[K, V]):
    """Entries of up to so many bytes together; what was not asked for longest is forgotten."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._known: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V:
        """Return what is known; KeyError if nothing is."""
        with self._lock:
            self._known.move_to_end(key)
            return self._known[key][0]

    def put(self, key: K, value: V, size: int) -> None:
        """Remember something of so many bytes."""
        with self._lock:
            self._forget(key)
            self._known[key] = value, size + ENTRY_BYTES
            self.bytes += size + ENTRY_BYTES
            while self.bytes > self.max_bytes:
                self._forget(next(iter(self._known)))

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more would make nobody forget anything."""
        return self.bytes + size + ENTRY_BYTES <= self.max_bytes

    def _forget(self, key: K) -> None:
        if key in self._known:
            self.bytes -= self._known.pop(key)[1]
