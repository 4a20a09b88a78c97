"""What was found in segments is remembered: they never change. Bounded; what was not asked for longest is forgotten."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Places: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
"""The `seq` of events."""
Key: TypeAlias = tuple[str, frozenset[str], frozenset[frozenset[str]]]
"""A segment, what was looked for, and the words of which it was looked for near some alone."""

_ENTRY_BYTES = 512


@dataclass(frozen=True, slots=True)
class Some:
    """Some events of a segment: where they are, and what is known of them already."""

    seqs: Places
    """Rising, none twice."""
    rows: Places | None = None
    """Which rows of the file those are, one for one."""
    held: pa.Table | None = None
    """Columns of them that need not be read again, row for row."""

    def __len__(self) -> int:
        return len(self.seqs)

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        rows = 0 if self.rows is None else self.rows.nbytes
        return int(self.seqs.nbytes) + rows + (0 if self.held is None else int(self.held.nbytes))

    def only(self, seqs: Places) -> Some:
        """Choose among them; all of those must be here."""
        at = self.seqs.searchsorted(seqs)
        rows = None if self.rows is None else self.rows[at]
        return Some(seqs, rows, None if self.held is None else self.held.take(pa.array(at)))


NONE = Some(np.empty(0, np.int64))


@dataclass(slots=True)
class Found:
    """Remembers the events of a segment that have a text; None where they are too many to say. From any thread."""

    max_bytes: int
    bytes: int = 0
    _known: OrderedDict[Key, Some | None] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Key) -> Some | None:
        """Return what is known; KeyError if nothing is."""
        with self._lock:
            self._known.move_to_end(key)
            return self._known[key]

    def put(self, key: Key, some: Some | None) -> None:
        """Remember."""
        with self._lock:
            self._forget(key)
            self._known[key] = some
            self.bytes += _size(key, some)
            while self.bytes > self.max_bytes:
                self._forget(next(iter(self._known)))

    def _forget(self, key: Key) -> None:
        if key in self._known:
            self.bytes -= _size(key, self._known.pop(key))


def _size(key: Key, some: Some | None) -> int:
    _, patterns, words = key
    texts = sum(map(len, patterns)) + sum(len(word) for alternative in words for word in alternative)
    return _ENTRY_BYTES + texts + (0 if some is None else some.nbytes)
