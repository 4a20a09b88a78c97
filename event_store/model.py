"""What the columns of an event are called, and what they hold. Pure: no Arrow, no storage, no I/O."""

from __future__ import annotations

from enum import Enum


class ColumnType(Enum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    """A double: it may be NaN or infinite."""
    INTEGER = "integer"
    """64 bits with sign."""
    TIME = "time"
    """Nanoseconds since 1970, UTC."""


FIXED: dict[str, ColumnType] = {
    "time": ColumnType.TIME,
    "source_id": ColumnType.TEXT,
    "instance_id": ColumnType.TEXT,
    "type": ColumnType.TEXT,
    "severity": ColumnType.TEXT,
    "stream": ColumnType.TEXT,
    "message": ColumnType.TEXT,
    "name": ColumnType.TEXT,
    "value": ColumnType.NUMBER,
    "delta": ColumnType.INTEGER,
    "unit": ColumnType.TEXT,
    "duration": ColumnType.INTEGER,
    "seq": ColumnType.INTEGER,
}
"""The columns that every event has, null or not, in the order in which they are shown."""

RAW_MESSAGE = "message_raw"
"""The bytes of a message that is not UTF-8; null for every other."""

SEVERITIES = ("trace", "debug", "info", "warn", "error", "fatal")
"""From the least to the worst."""

TAG = "t_"
"""What the name of a tag's column begins with."""
FIELD = "f_"
"""What the name of a parsed field's column begins with."""
NUMBER = "$num"
"""What the name of a parsed field's column of numbers ends with."""
OVERFLOW = "attrs"
"""The map that holds the tags and fields that have no column, keyed by the name that the column would have."""


def type_of(column: str) -> ColumnType:
    """Return what a column of this name holds."""
    if column in FIXED:
        return FIXED[column]
    return ColumnType.NUMBER if column.startswith(FIELD) and column.endswith(NUMBER) else ColumnType.TEXT
