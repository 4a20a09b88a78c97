"""Events as the columns of a Delta table, which any engine can read. Pure.

Spark knows microseconds only: `time` has those, and `time_ns` is exact. It and others take no column whose name has
certain characters, or differs from another's by case alone: such a tag or field goes into the map `attrs`.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from event_store.model import FIXED, OVERFLOW, RAW_MESSAGE
from event_store.sealed import columns_to_add
from event_store.storage.overflow import ATTRS, demote

TIME_NS = "time_ns"
"""The column with the exact time: nanoseconds since 1970."""

_TIME = pa.timestamp("us", "UTC")
_NOT_IN_NAMES = frozenset(" ,;{}()\n\t=")


def to_delta(events: pa.Table, known: Collection[str], most_columns: int) -> pa.Table:
    """Make of events what is appended to a table that has the columns `known`: `most_columns` tags and fields in all.

    There must be one event at least.
    """
    table = _with_room(events, known, most_columns)
    for place, (name, kind) in enumerate(zip(table.schema.names, table.schema.types, strict=True)):
        if pa.types.is_dictionary(kind):
            table = table.set_column(place, name, table[name].cast(kind.value_type))
    exact = table["time"].cast(pa.int64())
    table = table.set_column(table.schema.get_field_index("time"), "time", table["time"].cast(_TIME, safe=False))
    return table.add_column(1, pa.field(TIME_NS, pa.int64()), exact)


def _with_room(events: pa.Table, known: Collection[str], most_columns: int) -> pa.Table:
    fit = events.select(_readable(events.column_names, known))
    keep = {*known, *columns_to_add(fit, known, most_columns)}
    table = pa.Table.from_batches([demote(batch, keep) for batch in events.to_batches()])
    if OVERFLOW not in table.column_names:
        table = table.append_column(pa.field(OVERFLOW, ATTRS), pa.nulls(table.num_rows, ATTRS))
    return table


def _readable(names: Collection[str], known: Collection[str]) -> list[str]:
    """Leave out the names of columns that some engine could not read beside those that are `known`."""
    taken = {name.lower(): name for name in (*FIXED, RAW_MESSAGE, OVERFLOW, TIME_NS, *known)}
    return [
        name for name in names if not _NOT_IN_NAMES.intersection(name) and taken.setdefault(name.lower(), name) == name
    ]
