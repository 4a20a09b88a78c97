"""Segments: Parquet files of events, written once, as a whole, and removed as a whole.

A segment lies under the hour of its earliest event, `segments/day=2026-11-21/hour=16/`, and beside it its index, which
can be made of it again. What was being written when a process ended has a name that begins with a dot, and does not
count.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from event_store.model import FIXED, RAW_MESSAGE
from event_store.storage import index_files, parquet, schema
from event_store.storage.crypto import Keyring, secret_of
from event_store.storage.errors import SegmentDamaged
from event_store.storage.index import SUFFIX, Indexing
from event_store.storage.manifest import Segment
from event_store.storage.parquet import Layout
from plumbing.private_files import sync_directory

FOLDER = "segments"
MOST_SOURCES = 1000
"""As many sources of a segment are listed."""

MOST_HOURS = 8
"""As many segments at most are made of one flush, however far its times lie apart."""

_HOUR_NS = 3_600_000_000_000
_SUFFIXES = (".parquet", SUFFIX)


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
    if hours.min() == hours.max():
        yield table
        return
    found, counts = np.unique(hours, return_counts=True)
    if len(found) > MOST_HOURS:
        often = found[np.argsort(-counts, kind="stable")[: MOST_HOURS - 1]]
        yield table.filter(pa.array(~np.isin(hours, often)))
        found = np.sort(often)
    for hour in found:
        yield table.filter(pa.array(hours == hour))


def write_all(
    folder: Path, batches: Sequence[pa.RecordBatch], layout: Layout, keys: Keyring | None = None
) -> list[Segment]:
    """Write `batches`, numbered and not empty, as segments of the store in `folder`. An error leaves none of them."""
    made: list[Segment] = []
    try:
        for table in by_hour(table_of(batches)):
            made += [write(folder, table, layout, keys)]
    except BaseException:
        for segment in made:
            remove(folder, segment)
        raise
    return made


def write(folder: Path, table: pa.Table, layout: Layout, keys: Keyring | None = None) -> Segment:
    """Write `table`, which has events, as a segment: it is on disk when this returns. An error leaves nothing."""
    times, seqs = _ends(table["time"].cast(pa.int64())), _ends(table["seq"])
    path = _free(_directory(folder, times[0]), f"L{layout.level}-{times[0]}-{times[1]}-{seqs[0]:020d}")
    name = path.relative_to(folder).as_posix()
    key = keys.current if keys else ""
    draft = path.with_name(f".{path.name}")
    indexing = Indexing(layout.row_group_rows)
    try:
        written = parquet.write_table(draft, table, layout, keys.of_file(name, key) if keys else None, indexing.add)
        beside = index_files.write(folder, path.with_suffix(SUFFIX), indexing, key, keys)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        path.with_suffix(SUFFIX).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    sources = frozenset(pc.unique(table["source_id"]).drop_null().to_pylist())
    return Segment(
        file=name,
        level=layout.level,
        rows=table.num_rows,
        bytes=written.bytes,
        min_time=times[0],
        max_time=times[1],
        min_seq=seqs[0],
        max_seq=seqs[1],
        checksum=written.checksum,
        key=key,
        columns=frozenset(table.column_names),
        sources=sources if len(sources) <= MOST_SOURCES else None,
        index_bytes=beside.bytes,
        index_checksum=beside.checksum,
    )


def remove(folder: Path, segment: Segment) -> None:
    """Remove the files of a segment that no manifest names; the next start removes what the disk does not let go."""
    for file in (segment.file, segment.index_file):
        with suppress(OSError):
            (folder / file).unlink()


def read(
    folder: Path,
    segment: Segment,
    keys: Keyring | None = None,
    columns: Collection[str] | None = None,
    *,
    use_threads: bool = True,
) -> pa.Table:
    """Read the events of a segment, or some of its columns; StoreLocked without its key, SegmentDamaged."""
    try:
        return parquet.read_table(folder / segment.file, secret_of(segment, keys), columns, use_threads=use_threads)
    except (OSError, pa.ArrowException) as error:
        raise SegmentDamaged(f"it cannot be read: {error}") from error


def dataset(folder: Path, segment: Segment, keys: Keyring | None) -> ds.Dataset:
    """Open a segment to be read as need be; StoreLocked without its key, OSError or ArrowException if damaged."""
    return parquet.dataset(folder / segment.file, secret_of(segment, keys))


def strays(folder: Path, segments: Sequence[Segment]) -> list[Path]:
    """Find files of segments that are none of these: a flush that ended early, and what has been replaced."""
    known = {folder / segment.file for segment in segments}
    known |= {folder / segment.index_file for segment in segments if segment.index_bytes}
    files = (folder / FOLDER).glob("day=*/hour=*/*")
    return [path for path in files if path.suffix in _SUFFIXES and path not in known]


def _ends(column: pa.ChunkedArray) -> tuple[int, int]:
    found = pc.min_max(column).as_py()
    return found["min"], found["max"]


def _free(directory: Path, stem: str) -> Path:
    """Find a name that no file has: what is joined may look like what it was made of."""
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(1)))
    taken = {path.name for path in directory.iterdir()}
    return directory / next(
        f"{name}.parquet" for name in names if taken.isdisjoint(f"{name}{suffix}" for suffix in _SUFFIXES)
    )


def _directory(folder: Path, time_ns: int) -> Path:
    """Make the directory of an hour, and see to it that its name is on disk."""
    hour = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=time_ns // _HOUR_NS)
    directory = folder / FOLDER / f"day={hour:%Y-%m-%d}" / f"hour={hour:%H}"
    missing = [path for path in (directory, *directory.parents) if path.is_relative_to(folder) and not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_directory(path.parent)
    return directory
