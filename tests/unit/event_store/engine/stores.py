"""Stores for tests of the engine: segments and batches with whatever columns their events have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from event_store.engine import Result
from event_store.query.parse import parse
from event_store.query.syntax import Query
from event_store.storage import Segment, Snapshot
from event_store.storage.crypto import Keyring
from event_store.storage.parquet import Layout
from event_store.storage.schema import numbered
from event_store.storage.segments import table_of, write
from tests.unit.event_store.storage.events import START, batch_of

NOW = START + 3_600_000_000_000
SECOND = 1_000_000_000
Events = dict[str, Sequence[Any]]
"""Columns, without time and seq."""


def batch(first: int, columns: Events) -> pa.RecordBatch:
    """Make events, a second apart, the first of which is number `first`; `f_x_num` stands for `f_x$num`."""
    rows = len(next(iter(columns.values())))
    times = [START + (first + row) * SECOND for row in range(rows)]
    given = {"source_id": ["web"] * rows, "type": ["log"] * rows} | columns
    return numbered(batch_of(time=times, **given), first)


def snapshot_of(folder: Path, *segments: Events, hot: Sequence[Events] = ()) -> Snapshot:
    """Keep events: a segment for each, one after the other, and then batches in memory."""
    made, first = [], 0
    for columns in segments:
        events = batch(first, columns)
        made.append(segment_of(folder, [events]))
        first += events.num_rows
    batches = []
    for columns in hot:
        batches.append(batch(first, columns))
        first += batches[-1].num_rows
    return Snapshot(folder, 1, tuple(made), tuple(batches))


def segment_of(folder: Path, batches: Sequence[pa.RecordBatch], keys: Keyring | None = None, level: int = 0) -> Segment:
    return write(folder, table_of(batches), Layout(level=level, row_group_rows=10), keys)


def asked(text: str) -> Query:
    """A query of the last day, unless it says otherwise."""
    return parse(text, NOW, 24 * 3600 * SECOND)


def many_lines(count: int) -> Events:
    """Lines of which few are alike."""
    return {"message": [f"line {number} of {np.base_repr(number * 7919, 36)}" for number in range(count)]}


def rows(result: Result) -> list[tuple[Any, ...]]:
    """The rows of an answer; times are nanoseconds."""
    table = result.table
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, table[place].cast(pa.int64()))
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
