"""What lies beside a segment, so that a query passes over parts of it: filters of words, and values of columns.

A message's words, as `envelope.words` has them, are filtered block by block; a column of texts has its values listed if
they are few. All of it can be made of the segment again: nothing is lost with it. No I/O.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise

import msgpack  # type: ignore[import-untyped]  # it ships no types
import pyarrow as pa
import pyarrow.compute as pc

from envelope import kernel
from event_store.model import FIELD, OVERFLOW, TAG

SUFFIX = ".index"
BLOCK_ROWS = 8192
"""As many events at most have one filter of words."""
MOST_VALUES = 256
MOST_VALUE_BYTES = 64 << 10

_TEXT_BYTES = 100
"""What a text takes in memory beside its letters."""
_MAGIC = b"SINDEX1\0"
_LENGTH_BYTES = 8
_MOST_CODED = 4096
"""A dictionary that is longer is one of ids: nobody looks which of its texts these events have."""


class Values:
    """Says of a segment which values a column has. It never changes."""

    def __init__(self, listed: dict[str, list[str] | None]) -> None:
        self._values = {name: None if texts is None else frozenset(texts) for name, texts in listed.items()}
        every = [*listed, *chain.from_iterable(filter(None, listed.values()))]
        self.nbytes = _bytes_of(every) + len(every) * _TEXT_BYTES

    def of(self, column: str) -> frozenset[str] | None:
        """Return every value of a column; none at all if there is no such column, and None if nobody knows."""
        if column in self._values:
            return self._values[column]
        return None if OVERFLOW in self._values and column.startswith((TAG, FIELD)) else frozenset()


class Index:
    """Says of a segment where a word may be, and which values its columns have. It never changes."""

    def __init__(self, ends: tuple[int, ...], filters: tuple[memoryview, ...], values: Values) -> None:
        self.rows = ends[-1] if ends else 0
        self.values = values
        self._ends = ends
        self._filters = filters

    def ranges(self, words: Collection[str]) -> list[tuple[int, int]]:
        """Return rows, from the first to before the second, whose messages may have all of these words, in lower case.

        They rise, and none touch. ValueError if one of the words is none.
        """
        wanted = [word.encode() for word in words]
        has = kernel.filter_has
        found: list[tuple[int, int]] = []
        first = 0
        for end, block in zip(self._ends, self._filters, strict=True):
            if all(has(block, word) for word in wanted):
                start = found.pop()[0] if found and found[-1][1] == first else first
                found.append((start, end))
            first = end
        return found


@dataclass(slots=True)
class Indexing:
    """Makes the index of a segment, from its events in the order in which they stand in the file."""

    group_rows: int
    """Those of a row group: no block lies in two."""
    _ends: list[int] = field(default_factory=list)
    _filters: list[bytes] = field(default_factory=list)
    _values: dict[str, set[str] | None] = field(default_factory=dict)

    def add(self, table: pa.Table) -> None:
        """Take in the next row groups."""
        for first in range(0, table.num_rows, self.group_rows):
            for block in _blocks(table["message"].slice(first, self.group_rows)):
                validity, ends, texts = block.buffers()
                made = kernel.word_filter(texts or b"", ends, block.offset, len(block), validity)
                self._filters.append(made)
                self._ends.append(len(block) + (self._ends[-1] if self._ends else 0))
        for name, column in zip(table.column_names, table.columns, strict=True):
            self._values[name] = _joined(self._values.get(name, set()), column)

    def form(self) -> bytes:
        """Make the bytes of the file."""
        values: dict[str, list[str] | None] = dict.fromkeys(self._values)
        room = MOST_VALUE_BYTES
        listed = {name: sorted(found) for name, found in self._values.items() if found is not None}
        for name, texts in sorted(listed.items(), key=lambda one: (_bytes_of(one[1]), one[0])):
            room -= _bytes_of(texts)
            values[name] = texts if room >= 0 else None
        head = msgpack.packb((_packed(self._ends), _packed(map(len, self._filters)), values))
        return b"".join((_MAGIC, len(head).to_bytes(_LENGTH_BYTES, "little"), head, *self._filters))


def parse(content: bytes) -> Index:
    """Read the bytes of the file, which are not copied; ValueError if they are not what `form` made."""
    if not content.startswith(_MAGIC):
        raise ValueError("its start is none of an index")
    start = len(_MAGIC) + _LENGTH_BYTES
    behind = start + int.from_bytes(content[len(_MAGIC) : start], "little")
    head, filters = memoryview(content)[start:behind], memoryview(content)[behind:]
    try:
        packed, lengths, values = msgpack.unpackb(head)
        ends, sizes = _unpacked(packed), _unpacked(lengths)
    except (ValueError, TypeError, struct.error) as error:
        raise ValueError(f"it cannot be read: {error}") from error
    rising = all(first < second for first, second in zip((0, *ends), ends, strict=False))
    if not (rising and len(sizes) == len(ends) and sum(sizes) == len(filters) and _are_values(values)):
        raise ValueError("it is none of an index")
    bounds = pairwise(accumulate(sizes, initial=0))
    return Index(ends, tuple(filters[first:end] for first, end in bounds), Values(values))


def _packed(numbers: Iterable[int]) -> bytes:
    listed = list(numbers)
    return struct.pack(f"<{len(listed)}Q", *listed)


def _unpacked(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(packed) // 8}Q", packed)


def _blocks(column: pa.ChunkedArray) -> Iterator[pa.StringArray]:
    """Cut a column into parts of about the same size."""
    count = -(-len(column) // BLOCK_ROWS)
    size = -(-len(column) // max(1, count))
    for first in range(0, len(column), max(1, size)):
        part = column.slice(first, size)
        block = part.chunk(0) if part.num_chunks == 1 else part.combine_chunks()
        yield from block.chunks if isinstance(block, pa.ChunkedArray) else (block,)


def _joined(known: set[str] | None, column: pa.ChunkedArray) -> set[str] | None:
    """Return values together with those of a column; None if they are many, or it is none of few values."""
    if known is None or not pa.types.is_dictionary(column.type):
        return None
    if any(len(chunk.dictionary) > _MOST_CODED for chunk in column.chunks):
        return None
    found = known | set(pc.unique(column).drop_null().to_pylist())
    return found if len(found) <= MOST_VALUES else None


def _bytes_of(texts: Collection[str]) -> int:
    return len("".join(texts).encode())


def _are_values(found: object) -> bool:
    return (
        isinstance(found, dict)
        and _are_texts(found)
        and all(texts is None or (isinstance(texts, list) and _are_texts(texts)) for texts in found.values())
    )


def _are_texts(found: Iterable[object]) -> bool:
    return set(map(type, found)) <= {str}
