"""Tags and fields that find no column: those that few events have go into one map. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa

from event_store.model import FIELD, NUMBER, OVERFLOW, TAG

MAX_COLUMNS = 500
"""As many tags and fields have columns of their own in a batch in memory, and in a segment."""

ATTRS = pa.map_(pa.string(), pa.string())
"""The type of the map."""


def kept_columns(batches: Sequence[pa.RecordBatch]) -> Collection[str] | None:
    """Say which tags and fields get columns: those that most events have. None if there is room for all."""
    filled: Counter[str] = Counter()
    for batch in batches:
        for place, name in enumerate(batch.schema.names):
            if name.startswith((TAG, FIELD)):
                filled[name] += batch.num_rows - batch.column(place).null_count
    if len(filled) <= MAX_COLUMNS:
        return None
    return {name for name, _ in sorted(filled.items(), key=lambda one: (-one[1], one[0]))[:MAX_COLUMNS]}


def demote(batch: pa.RecordBatch, keep: Collection[str]) -> pa.RecordBatch:
    """Move the tags and fields that are not in `keep` into the map, behind what is there."""
    names = [name for name in batch.schema.names if name.startswith((TAG, FIELD)) and name not in keep]
    if not names:
        return batch
    rows, keys, texts = _entries(batch)
    for name in names:
        column = batch.column(name)
        rows.append(np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)))
        keys.append(pa.repeat(pa.scalar(_key(name)), len(rows[-1])))
        texts.append(column.drop_null().cast(pa.string()))
    attrs = _map(batch.num_rows, np.concatenate(rows), pa.concat_arrays(keys), pa.concat_arrays(texts))
    rest = batch.select([name for name in batch.schema.names if name not in {*names, OVERFLOW}])
    return rest.append_column(pa.field(OVERFLOW, ATTRS), attrs)


def _key(column: str) -> str:
    """What a column is called in the map, where all is text."""
    return column.removesuffix(NUMBER) if column.startswith(FIELD) else column


def _entries(batch: pa.RecordBatch) -> tuple[list[np.ndarray], list[pa.Array], list[pa.Array]]:
    """What is in the map already, entry by entry."""
    if OVERFLOW not in batch.schema.names:
        return [], [], []
    column = batch.column(OVERFLOW)
    offsets = column.offsets.to_numpy()
    start, length = offsets[0], offsets[-1] - offsets[0]
    rows = np.repeat(np.arange(len(column)), np.diff(offsets))
    return [rows], [column.keys.slice(start, length)], [column.items.slice(start, length)]


def _map(rows: int, places: np.ndarray, keys: pa.Array, texts: pa.Array) -> pa.MapArray:
    order = np.argsort(places, kind="stable")
    offsets = np.searchsorted(places[order], np.arange(rows + 1)).astype(np.int32)
    empty = pa.array(np.diff(offsets) == 0)
    return pa.MapArray.from_arrays(pa.array(offsets), keys.take(order), texts.take(order), mask=empty)
