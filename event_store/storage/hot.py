"""Events that are in the log and not yet in a segment: batches in memory, in order of their `seq`. Not for two threads.

Small batches are joined now and then, a few rounds at most for each event, so that a query meets few of them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa

from event_store.storage.schema import merged

_FEW_ROWS = 8192
_FEW_BYTES = 4 << 20
_AT_ONCE = 16


@dataclass(slots=True)
class HotBuffer:
    """Batches that each know their events' places (`seq`)."""

    rows: int = 0
    bytes: int = 0
    _batches: list[pa.RecordBatch] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)
    """Bytes of the buffers of each batch, which are its own."""
    _small: int = 0
    """As many of them, the last ones, are small and may be joined."""

    @property
    def batches(self) -> tuple[pa.RecordBatch, ...]:
        """All there is now; what is added later does not change it."""
        return tuple(self._batches)

    def add(self, batch: pa.RecordBatch) -> None:
        """Append events that follow all others."""
        self.rows += batch.num_rows
        self._append(batch)
        if self._small >= _AT_ONCE:
            with suppress(MemoryError, pa.ArrowException):  # there are many, then, until the next one is added
                self._join(self._small)

    def fix(self) -> None:
        """Keep what there is apart from what follows, so that it can be dropped without it."""
        self._small = 0

    def drop(self, before: int) -> None:
        """Let go of batches whose events all come before the place `before`."""
        count = 0
        while count < len(self._batches) and self._batches[count].column("seq")[-1].as_py() < before:
            count += 1
        self.rows -= sum(batch.num_rows for batch in self._batches[:count])
        self.bytes -= sum(self._sizes[:count])
        del self._batches[:count], self._sizes[:count]
        self._small = min(self._small, len(self._batches))

    def _join(self, count: int) -> None:
        joined = merged(self._batches[-count:])  # whatever fails, fails before anything is let go of
        self.bytes -= sum(self._sizes[-count:])
        del self._batches[-count:], self._sizes[-count:]
        self._small = 0
        self._append(joined)

    def _append(self, batch: pa.RecordBatch) -> None:
        size = batch.get_total_buffer_size()
        self._batches.append(batch)
        self._sizes.append(size)
        self.bytes += size
        self._small = self._small + 1 if batch.num_rows < _FEW_ROWS and size < _FEW_BYTES else 0
