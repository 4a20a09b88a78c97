"""Segments: Parquet files of events, written once, as a whole, and removed as a whole.

A segment lies under the hour of its earliest event, `segments/day=2026-11-21/hour=16/`. What was being written when a
process ended has a name that begins with a dot, and does not count.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from xxhash import xxh3_64

from event_store.model import FIELD, FIXED, NUMBER, OVERFLOW, RAW_MESSAGE
from event_store.storage import schema
from event_store.storage.manifest import Segment
from plumbing.private_files import PRIVATE, sync_directory

FOLDER = "segments"
MOST_SOURCES = 1000
"""As many sources of a segment are listed."""

MOST_HOURS = 8
"""As many segments at most are made of one flush, however far its times lie apart."""

_HOUR_NS = 3_600_000_000_000
_TEXTS = {"message", RAW_MESSAGE, OVERFLOW}
_RISING = {"time", "seq"}
_FEW_VALUES = 1000
_ID_SHARE = 0.2  # of its events have a value of their own: a column of ids
_BLOOM_ERRORS = 0.05
_MAGIC = b"PAR1"
_READ_BYTES = 1 << 20


class SegmentDamaged(Exception):
    """A file is not what was written: what about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a segment is to look like."""

    level: int = 0
    row_group_rows: int = 125_000
    zstd_level: int = 1


def table_of(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Join batches into what becomes segments: all fixed columns, and dictionaries that do not change within one."""
    table = schema.joined(batches)
    for name in (*FIXED, RAW_MESSAGE):
        if name not in table.column_names:
            kind = schema.arrow_type(name)
            table = table.append_column(pa.field(name, kind), pa.nulls(table.num_rows, kind))
    return table.select(schema.in_order(table.column_names)).unify_dictionaries()


def by_hour(table: pa.Table) -> Iterator[pa.Table]:
    """Split a table into one for each hour; where there are too many hours, the rest of them are one."""
    hours = table["time"].cast(pa.int64()).to_numpy() // _HOUR_NS
    found, counts = np.unique(hours, return_counts=True)
    if len(found) == 1:
        yield table
        return
    if len(found) > MOST_HOURS:
        often = found[np.argsort(-counts, kind="stable")[: MOST_HOURS - 1]]
        yield table.filter(pa.array(~np.isin(hours, often)))
        found = np.sort(often)
    for hour in found:
        yield table.filter(pa.array(hours == hour))


def write_all(folder: Path, batches: Sequence[pa.RecordBatch], layout: Layout) -> list[Segment]:
    """Write `batches`, numbered and not empty, as segments of the store in `folder`. OSError leaves none of them."""
    made: list[Segment] = []
    try:
        for table in by_hour(table_of(batches)):
            made += [write(folder, table, layout)]
    except OSError:
        for segment in made:
            with suppress(OSError):  # the next start removes what no manifest names
                (folder / segment.file).unlink()
        raise
    return made


def write(folder: Path, table: pa.Table, layout: Layout) -> Segment:
    """Write `table`, which has events, as a segment: it is on disk when this returns. OSError leaves nothing."""
    times, seqs = _ends(table["time"].cast(pa.int64())), _ends(table["seq"])
    directory = _directory(folder, times[0])
    path = directory / f"L{layout.level}-{times[0]}-{times[1]}-{seqs[0]:020d}.parquet"
    draft = path.with_name(f".{path.name}")
    try:
        with _Sink(draft) as sink:
            pq.write_table(table, sink, row_group_size=layout.row_group_rows, **_options(table, layout))
            sink.sync()
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(directory)
    sources = frozenset(pc.unique(table["source_id"]).drop_null().to_pylist())
    return Segment(
        file=path.relative_to(folder).as_posix(),
        level=layout.level,
        rows=table.num_rows,
        bytes=sink.bytes,
        min_time=times[0],
        max_time=times[1],
        min_seq=seqs[0],
        max_seq=seqs[1],
        checksum=sink.checksum,
        columns=frozenset(table.column_names),
        sources=sources if len(sources) <= MOST_SOURCES else None,
    )


def look(folder: Path, segment: Segment) -> None:
    """Raise SegmentDamaged if a glance shows that the file is not what was written: its size, its ends."""
    try:
        with open(folder / segment.file, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != segment.bytes:
                raise SegmentDamaged(f"it has {size} bytes, and had {segment.bytes}")
            file.seek(-8, os.SEEK_END)
            length, magic = file.read(4), file.read(4)
    except OSError as error:
        raise SegmentDamaged(f"it cannot be read: {error.strerror}") from error
    if magic != _MAGIC or int.from_bytes(length, "little") > size:
        raise SegmentDamaged("its end is none of a segment")


def verify(folder: Path, segment: Segment) -> None:
    """Raise SegmentDamaged unless each byte of the file is as it was written."""
    look(folder, segment)
    checksum = xxh3_64()
    try:
        with open(folder / segment.file, "rb") as file:
            while part := file.read(_READ_BYTES):
                checksum.update(part)
    except OSError as error:
        raise SegmentDamaged(f"it cannot be read: {error.strerror}") from error
    if checksum.hexdigest() != segment.checksum:
        raise SegmentDamaged("its checksum is wrong")


def strays(folder: Path, segments: Sequence[Segment]) -> list[Path]:
    """Find files of segments that are none of these: a flush that ended early, and what has been replaced."""
    known = {folder / segment.file for segment in segments}
    return [path for path in (folder / FOLDER).glob("day=*/hour=*/*.parquet") if path not in known]


class _Sink(io.RawIOBase):
    """The file that a segment is written to; it knows its size and checksum."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = open(os.open(path, flags, PRIVATE), "wb", buffering=1 << 20)  # noqa: SIM115  # `close` closes it
        self._sum = xxh3_64()
        self.bytes = 0

    @property
    def checksum(self) -> str:
        return self._sum.hexdigest()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # pyarrow gives bytes
        self._file.write(data)
        self._sum.update(data)
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self.bytes

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            super().close()


def _options(table: pa.Table, layout: Layout) -> dict[str, object]:
    """How each column is written: few values by dictionary, rising numbers by difference, ids with a bloom filter."""
    coded, blooms = [], {}
    for name, kind in zip(table.schema.names, table.schema.types, strict=True):
        if pa.types.is_dictionary(kind):
            values, column = _distinct(table[name]), table[name]
            filled = len(column) - column.null_count
            if values > max(_FEW_VALUES, filled * _ID_SHARE):
                ndv = min(values, layout.row_group_rows)
                blooms[name] = {"ndv": ndv, "fpp": _BLOOM_ERRORS}
            else:
                coded.append(name)
        elif name.startswith(FIELD) and name.endswith(NUMBER):
            coded.append(name)
    return {
        "compression": "zstd",
        "compression_level": layout.zstd_level,
        "use_dictionary": coded,
        "column_encoding": dict.fromkeys(_RISING, "DELTA_BINARY_PACKED"),
        "write_statistics": [name for name in table.column_names if name not in _TEXTS],
        "bloom_filter_options": blooms or None,
    }


def _distinct(column: pa.ChunkedArray) -> int:
    return max((len(chunk.dictionary) for chunk in column.chunks), default=0)


def _ends(column: pa.ChunkedArray) -> tuple[int, int]:
    found = pc.min_max(column).as_py()
    return found["min"], found["max"]


def _directory(folder: Path, time_ns: int) -> Path:
    """Make the directory of an hour, and see to it that its name is on disk."""
    hour = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=time_ns // _HOUR_NS)
    directory = folder / FOLDER / f"day={hour:%Y-%m-%d}" / f"hour={hour:%H}"
    missing = [path for path in (directory, *directory.parents) if path.is_relative_to(folder) and not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_directory(path.parent)
    return directory
