"""What a query answers."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from event_store.model import ColumnType


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the answer."""

    name: str
    type: ColumnType


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What it took."""

    rows_scanned: int
    """Events of the segments that were looked into, and of memory."""
    bytes_scanned: int
    """Of their files, whole, and of memory: columns that were not needed are among them, and were not read."""
    segments: int
    """Looked into."""
    segments_skipped: int
    elapsed: float
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer."""

    table: pa.Table
    is_events: bool
    """Whether its rows are whole events, with all columns that the store has; then most of them are null."""
    warnings: tuple[str, ...]
    stats: Stats

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the table's columns hold, in order."""
        return tuple(Column(field.name, type_of_arrow(field.type)) for field in self.table.schema)


def type_of_arrow(kind: pa.DataType) -> ColumnType:
    """Say what a column of this type holds; what is neither number nor time counts as text."""
    if pa.types.is_timestamp(kind):
        return ColumnType.TIME
    if pa.types.is_integer(kind):
        return ColumnType.INTEGER
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return ColumnType.NUMBER
    return ColumnType.TEXT
