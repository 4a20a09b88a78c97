"""From the name of a field, as people write it, to the columns that may hold it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches

from event_store.model import FIELD, FIXED, NUMBER, OVERFLOW, TAG, ColumnType, type_of

ALIASES = {
    "source": "source_id",
    "app_id": "source_id",
    "instance": "instance_id",
    "msg": "message",
    "ts": "time",
}
"""Other names of fixed columns."""

Catalog = Collection[str]
"""The names of the columns that the store has, beside the fixed ones."""


@dataclass(frozen=True, slots=True)
class Column:
    """Where a field's value may be: in a column, or in the map of those that have none."""

    name: str
    type: ColumnType
    in_overflow: bool = False


def canonical(field: str) -> str:
    """Return the name of the fixed column that is meant, or the field as it is."""
    return ALIASES.get(field, field)


def resolve(field: str, catalog: Catalog) -> tuple[Column, ...]:
    """Return the columns that may hold a field, the first of those with a value being what the field is.

    A fixed column comes before everything; then a tag, then what was parsed from a line. `t_x` and `f_x` name the tag
    and the parsed field alone. Where the store has a map of overflow, a field of any name may be in it, behind its
    columns; otherwise a field that the store does not have is in none.
    """
    fixed = canonical(field)
    if fixed in FIXED:
        return (Column(fixed, FIXED[fixed]),)
    columns = tuple(Column(name, type_of(name)) for name in _own_columns(field) if name in catalog)
    if OVERFLOW not in catalog:
        return columns
    return (*columns, *(Column(name, type_of(name), in_overflow=True) for name in _own_columns(field)))


def columns_of(field: str) -> tuple[str, ...]:
    """Return the names of all columns that a field may be in, in any store: the map of overflow is one of them."""
    fixed = canonical(field)
    return (fixed,) if fixed in FIXED else (*_own_columns(field), OVERFLOW)


def fields_known(catalog: Catalog) -> tuple[str, ...]:
    """Return what a catalog's fields are called, in order: the fixed ones first."""
    others = {_bare(name) for name in catalog if name.startswith((TAG, FIELD))}
    return (*FIXED, *sorted(others - FIXED.keys()))


def hint(field: str, known: Collection[str]) -> str:
    """Say which field may have been meant; empty when none comes close."""
    close = get_close_matches(field[:100], [name for name in known if len(name) <= 100][:2000], n=1)
    return f"did you mean {close[0]}?" if close else ""


def _own_columns(field: str) -> tuple[str, ...]:
    if field.startswith(TAG):
        return (field,)
    if field.startswith(FIELD):
        return (field, field + NUMBER)
    return (TAG + field, FIELD + field, FIELD + field + NUMBER)


def _bare(column: str) -> str:
    return column[len(TAG) :].removesuffix(NUMBER) if column.startswith(FIELD) else column[len(TAG) :]
