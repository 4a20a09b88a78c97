"""The Arrow type of each column, and how batches with different columns become one table. Pure.

A column's type follows from its name, so that no two batches can disagree. Fixed columns stand first, then tags, then
fields, each in order of their names, and last the map of what found no column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from event_store.model import FIELD, FIXED, OVERFLOW, RAW_MESSAGE, TAG, ColumnType, type_of
from event_store.storage.overflow import ATTRS, demote, kept_columns

TEXT = pa.dictionary(pa.int32(), pa.string())
_OF_ONE = {
    "message": pa.string(),
    RAW_MESSAGE: pa.binary(),
    OVERFLOW: ATTRS,
}
_OF_KIND = {
    ColumnType.TEXT: TEXT,
    ColumnType.NUMBER: pa.float64(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.TIME: pa.timestamp("ns"),
}
_PLACES = {name: place for place, name in enumerate(FIXED)} | {RAW_MESSAGE: [*FIXED].index("message") + 0.5}
_SEQ = "seq"


def arrow_type(column: str) -> pa.DataType:
    """Return what the column of this name is made of; ValueError if no column is called that."""
    if column in _OF_ONE:
        return _OF_ONE[column]
    if column not in FIXED and not column.startswith((TAG, FIELD)):
        raise ValueError(f"no column of an event is called {column!r}")
    return _OF_KIND[type_of(column)]


def in_order(columns: Iterable[str]) -> list[str]:
    """Sort names of columns into the order in which they stand."""
    return sorted(columns, key=_place)


def check(batch: pa.RecordBatch) -> None:
    """Raise ValueError, naming the column, if `batch` is none that can be appended."""
    names = batch.schema.names
    for name, kind in zip(names, batch.schema.types, strict=True):
        if kind != arrow_type(name):
            raise ValueError(f"column {name!r} is of {kind}, and not of {arrow_type(name)}")
    if len(set(names)) < len(names):
        raise ValueError(f"a column comes twice: {sorted(names)}")
    if _SEQ in names:
        raise ValueError("the column seq is the store's own")
    if "time" not in names or batch.column("time").null_count:
        raise ValueError("an event has no time")


def numbered(batch: pa.RecordBatch, first_seq: int) -> pa.RecordBatch:
    """Give each event its place in the store, rising from `first_seq`."""
    return batch.append_column(pa.field(_SEQ, pa.int64()), pa.arange(first_seq, first_seq + batch.num_rows))


def joined(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Put batches behind one another: a column that one of them has is null in the others.

    What has no room among the columns (`overflow.MAX_COLUMNS`) goes into the map.
    """
    keep = kept_columns(batches)
    if keep is not None:
        batches = [demote(batch, keep) for batch in batches]
    table = pa.concat_tables([pa.Table.from_batches([batch]) for batch in batches], promote_options="default")
    return table.select(in_order(table.column_names))


def merged(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Make one batch of several; there must be one at least, and their texts must fit into 2 GiB."""
    if len(batches) == 1 and kept_columns(batches) is None:
        return batches[0]
    (one,) = joined(batches).combine_chunks().to_batches() or [batches[0]]
    return one


def _place(column: str) -> tuple[float, str]:
    if column == OVERFLOW:
        return len(FIXED) + 2, column
    return _PLACES.get(column, len(FIXED) + (not column.startswith(TAG))), column
