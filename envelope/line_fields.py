"""The fields of lines, a whole batch of them, column by column; what one line says is another's to read.

The compiled kernel reads by itself what is plain: pairs without an escape, and JSON objects that hold nothing but
texts without an escape, numbers of the common forms, true, false and null. Any other line is handed to whoever reads
single lines, so that both kernels find the same.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from envelope.columns import MOST_CELLS, Coded, Coding
from envelope.kinds import Kind

MOST_FIELDS = 64
"""Of one line; the first ones."""
MOST_NAME = 100
"""Characters of a field's name."""
MOST_TEXT = 1024
"""Characters of a field's text."""
MOST_JSON = 1 << 20
"""Bytes of a line that is read as JSON."""
MOST_PAIRS = 16 << 10
"""Bytes of a line that are looked through for pairs."""

Value: TypeAlias = str | float
Read: TypeAlias = Callable[[bytes], Mapping[str, Value]]
"""Reads one line: `event_store.fields.fields_of`."""


class Numbers(NamedTuple):
    """A column of numbers that few rows have."""

    rows: bytes
    """int32, rising."""
    values: bytes
    """float64, one for each of those."""


class LineFields(NamedTuple):
    """What `kernel.line_fields` finds, columns in the order in which they were first seen."""

    texts: dict[bytes, Coded]
    """By name. A row's code is missing at the end of `codes` if neither it nor any row behind it has the field."""
    numbers: dict[bytes, Numbers]
    """By name; another row may have a text of the same name."""
    more: list[tuple[int, bytes, Value]]
    """What found no column: (row, name, value)."""


def fields_of_lines(texts: bytes, ends: bytes, kinds: bytes, most: int, read: Read) -> LineFields:
    """Find the fields of each text that is of a log; `envelope.reference.line_fields` says what is promised."""
    offsets = struct.unpack(f"<{len(ends) // 4}i", ends)
    if len(offsets) != len(kinds) + 1:
        raise ValueError(f"{len(kinds)} kinds, and {len(offsets)} ends of texts")
    making = _Making(len(kinds), most)
    for row, (start, end) in enumerate(pairwise(offsets)):
        if not 0 <= start <= end <= len(texts):
            raise ValueError(f"text {row} ends at {end}, and all of them at {len(texts)}")
        if kinds[row] == Kind.LOG:
            making.add(row, read(texts[start:end]))
    return making.made()


class _Making:
    def __init__(self, rows: int, most: int) -> None:
        self._rows, self._most = rows, most
        self._texts: dict[bytes, Coding] = {}
        self._numbers: dict[bytes, tuple[list[int], list[float]]] = {}
        self._more: list[tuple[int, bytes, Value]] = []

    def add(self, row: int, fields: Mapping[str, Value]) -> None:
        for name, value in fields.items():
            key = name.encode()
            if not self._has_column(key, value):
                self._more.append((row, key, value))
            elif isinstance(value, str):
                self._texts.setdefault(key, Coding()).put(row, value)
            else:
                rows, values = self._numbers.setdefault(key, ([], []))
                rows.append(row)
                values.append(value)

    def _has_column(self, key: bytes, value: Value) -> bool:
        if key in (self._texts if isinstance(value, str) else self._numbers):
            return True
        columns = len(self._texts) + len(self._numbers)
        if columns >= self._most:
            return False
        if (columns + 1) * self._rows > MOST_CELLS:
            raise OverflowError("the lines of a batch are too many with too many fields")
        return True

    def made(self) -> LineFields:
        numbers = {
            name: Numbers(struct.pack(f"<{len(rows)}i", *rows), struct.pack(f"<{len(values)}d", *values))
            for name, (rows, values) in self._numbers.items()
        }
        return LineFields({name: coding.made() for name, coding in self._texts.items()}, numbers, self._more)
