"""Events for tests of the storage: small batches whose rows say which they are."""

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from event_store.storage import Segment, Snapshot, StorageSettings, Store, segments
from event_store.storage.parquet import Layout
from event_store.storage.schema import arrow_type, numbered

START = 1_790_000_000_000_000_000
SETTINGS = StorageSettings()


def batch_of(**columns: Sequence[Any]) -> pa.RecordBatch:
    """Make a batch of columns; `f_x_num` stands for `f_x$num`."""
    named = {name.replace("_num", "$num"): values for name, values in columns.items()}
    return pa.RecordBatch.from_pydict({name: _column(name, values) for name, values in named.items()})


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    kind = arrow_type(name)
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode().cast(kind)
    return pa.array(values, kind)


def events(numbers: Iterable[int], **more: Sequence[Any]) -> pa.RecordBatch:
    """Make events, each named by its number."""
    numbers = list(numbers)
    return batch_of(
        time=[START + number for number in numbers],
        source_id=["web"] * len(numbers),
        type=["log"] * len(numbers),
        message=[str(number) for number in numbers],
        **more,
    )


def written(folder: Path, *batches: pa.RecordBatch, layout: Layout = Layout()) -> Segment:  # noqa: B008  # frozen
    """Write batches, ten events unless they are given, as the segment of a store that there need not be."""
    batches = batches or (events(range(10)),)
    (segment,) = segments.write_all(folder, [numbered(batch, 5) for batch in batches], layout)
    return segment


def rows_of(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Read all events of a snapshot, in order of their places; what is null is left out."""
    tables = [snapshot.read(segment) for segment in snapshot.segments]
    tables += [pa.Table.from_batches([batch]) for batch in snapshot.hot]
    rows = [row for table in tables for row in plain(table)]
    return sorted(({k: v for k, v in sorted(row.items()) if v is not None} for row in rows), key=lambda row: row["seq"])


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table, times in nanoseconds: Python's own have none."""
    place = table.schema.get_field_index("time")
    rows: list[dict[str, Any]] = table.set_column(place, "time", table["time"].cast(pa.int64())).to_pylist()
    return rows


def numbers_in(snapshot: Snapshot) -> list[int]:
    """Say which events are there, in order of their places."""
    return [int(row["message"]) for row in rows_of(snapshot)]


def opened(folder: Path, **settings: Any) -> Store:
    return Store.open(folder, StorageSettings(**settings))


def key_file(path: Path, *letters: bytes) -> Path:
    """Write a file of keys, each a letter many times."""
    path.write_bytes(b"".join(32 * letter.hex().encode() + b"\n" for letter in letters))
    path.chmod(0o600)
    return path


def no_room(*_: object) -> Callable[..., int]:
    """Refuse as a disk does that is full."""
    raise OSError(errno.ENOSPC, "No space left on device")


def flip(path: Path, place: int) -> None:
    """Change one bit of a file."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))
        os.fsync(file.fileno())
