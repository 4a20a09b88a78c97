"""Events as an answer shows them: the columns that every event has, then an object of its tags and fields. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from event_store.http import plain
from event_store.model import FIELD, FIXED, NUMBER, OVERFLOW, RAW_MESSAGE, TAG
from event_store.query.names import ALIASES

FIELDS = "fields"
DELTA = "delta"
"""Only counters have one: it stands among the fields."""
_SHOWN = tuple(name for name in FIXED if name != DELTA)
COLUMNS = (*_SHOWN, FIELDS)
"""The columns of an answer that is a list of events."""


def columns() -> list[dict[str, str]]:
    """Say what they hold."""
    return [*({"name": name, "type": FIXED[name].value} for name in _SHOWN), {"name": FIELDS, "type": "object"}]


def rows(table: pa.Table) -> list[list[Any]]:
    """Return the rows of a table of events."""
    held = set(table.column_names)
    nothing = [None] * table.num_rows
    fixed = [plain.values(table.column(name)) if name in held else nothing for name in _SHOWN]
    return [list(row) for row in zip(*fixed, _fields(table), strict=True)]


def objects(table: pa.Table) -> list[dict[str, Any]]:
    """Return the events of a table as objects."""
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows(table)]


def without_empty(table: pa.Table) -> pa.Table:
    """Leave out the tags and fields that no event of a table has: they are those of others."""
    own = (*_own(table.column_names), OVERFLOW)
    empty = (name for name in own if name in table.column_names and table.column(name).null_count == table.num_rows)
    return table.drop_columns(list(empty))


def spread(table: pa.Table) -> pa.Table:
    """Return a table of texts with a column for each tag and field that has a value, under its shown name."""
    arrays = {name: plain.texts(table.column(name)) for name in FIXED if name in table.column_names}
    shown: dict[str, pa.ChunkedArray] = {}
    for column in _own(table.column_names):
        if table.column(column).null_count < table.num_rows:
            texts = plain.texts(table.column(column))
            name = shown_name(column)
            shown[name] = pc.coalesce(shown[name], texts) if name in shown else texts
    if OVERFLOW in table.column_names and table.column(OVERFLOW).null_count < table.num_rows:
        shown[OVERFLOW] = plain.texts(_objects_of_maps(table.column(OVERFLOW)))
    return pa.table({**arrays, **{name: shown[name] for name in sorted(shown)}})


@lru_cache(maxsize=4096)
def shown_name(column: str) -> str:
    """Return what the tag or the field of a column is called: as in a query, where that name is not another's."""
    if column in FIXED:
        return column
    bare = column.removesuffix(NUMBER) if column.startswith(FIELD) else column
    short = bare[len(TAG) :]
    return bare if is_taken(short) else short


def is_taken(name: str) -> bool:
    """Whether a query means something else by the name: a tag or a field that is called so goes with its prefix."""
    return name in FIXED or name in ALIASES or name in (RAW_MESSAGE, FIELDS, "")


def _fields(table: pa.Table) -> list[dict[str, Any]]:
    """Gather what is not null, in time that grows with how much that is."""
    found: list[dict[str, Any]] = [{} for _ in range(table.num_rows)]
    for column in _own(table.column_names, DELTA):
        array = table.column(column)
        if array.null_count == table.num_rows:
            continue
        at = np.flatnonzero(pc.is_valid(array).to_numpy())
        for row, value in zip(at.tolist(), array.drop_null().to_pylist(), strict=True):
            _put(found[row], column, value)
    if OVERFLOW in table.column_names:
        for row, entries in enumerate(table.column(OVERFLOW).to_pylist()):
            for column, value in entries or ():
                _put(found[row], column, value)
    return found


def _put(fields: dict[str, Any], column: str, value: Any) -> None:
    """Show a value; where a tag and a field of an event have one name, the tag has it, as in a query."""
    name = shown_name(column)
    shown = plain.shortest(value) if isinstance(value, float) else value
    if name in fields and fields[name] != shown:
        name = column.removesuffix(NUMBER)
    fields.setdefault(name, shown)


def _own(names: Iterable[str], *others: str) -> list[str]:
    """Return the columns of tags and fields: tags first, text before numbers; before them the others that are there."""
    own = (name for name in names if name.startswith((TAG, FIELD)) or name in others)
    return sorted(own, key=lambda name: (name not in others, name.startswith(FIELD), name))


def _objects_of_maps(maps: pa.ChunkedArray) -> pa.ChunkedArray:
    written = [None if entries is None else plain.as_text(dict(entries)) for entries in maps.to_pylist()]
    return pa.chunked_array([written], pa.string())
