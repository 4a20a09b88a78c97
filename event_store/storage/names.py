"""Which columns a store has: no two whose names differ by case alone, which SQL takes for one. From any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pyarrow as pa

from event_store.storage.overflow import demote

_MOST = 20_000
"""Beyond that, what has a new name goes into the map."""


class Names:
    """Knows every column that was ever given, so long as the store is open."""

    def __init__(self, columns: Iterable[str]) -> None:
        """Begin with those there are; of two that differ by case alone, as versions before kept them, the first."""
        self._spelled: dict[str, str] = {}
        self._lock = threading.Lock()
        for column in sorted(columns):
            self._spelled.setdefault(column.casefold(), column)

    def settled(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Move tags and fields into the map whose names are taken, but for case, by other columns."""
        names = batch.schema.names
        with self._lock:
            kept = {name for name in names if self._is_kept(name)}
        return batch if len(kept) == len(names) else demote(batch, kept)

    def _is_kept(self, name: str) -> bool:
        folded = name.casefold()
        if folded not in self._spelled and len(self._spelled) < _MOST:
            self._spelled[folded] = name
        return self._spelled.get(folded) == name
