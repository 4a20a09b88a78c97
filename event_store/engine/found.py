"""What is found in segments: some of their events, which stay the same, for segments never change. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Places: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
"""The `seq` of events."""
Key: TypeAlias = tuple[str, frozenset[str], frozenset[frozenset[str]]]
"""A segment, what was looked for, and the words of which it was looked for near some alone."""


@dataclass(frozen=True, slots=True)
class Some:
    """Some events of a segment, and what is known of them already."""

    seqs: Places
    """Rising, none twice."""
    held: pa.Table | None = None
    """Columns of them that need not be read again, row for row."""

    def __len__(self) -> int:
        return len(self.seqs)

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return int(self.seqs.nbytes) + (0 if self.held is None else int(self.held.nbytes))

    def only(self, seqs: Places) -> Some:
        """Choose among them; all of those must be here."""
        return Some(seqs, None if self.held is None else self.held.take(pa.array(self.seqs.searchsorted(seqs))))


NONE = Some(np.empty(0, np.int64))


def size_of(key: Key, some: Some | None) -> int:
    """How much memory it takes to remember which events were found; None where they are too many to say."""
    _, patterns, words = key
    texts = sum(map(len, patterns)) + sum(len(word) for alternative in words for word in alternative)
    return texts + (0 if some is None else some.nbytes)
