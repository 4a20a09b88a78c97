"""Append what is in a store's segments to a Delta table: each event once, however often it is done.

In:    events of sealed segments, in order.
Out:   commits, each with up to `MOST_ROWS` of them in a file of its own, and with the place up to which the table has
       this store: both are there or neither, so there is no other record of it.
Drops: nothing. Files are written anew, and not copied: those of the store may be sealed, hold times that Spark cannot
       read, and give way to others when they are compacted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from event_store.delta.columns import to_delta
from event_store.sealed import Sealed

if TYPE_CHECKING:
    from deltalake import DeltaTable

MOST_ROWS = 1_000_000
"""Events in one file."""
MOST_BYTES = 512 << 20
"""What they take in memory, about."""
MOST_COLUMNS = 500
"""Tags and parsed fields that have a column of their own; the others are in the map `attrs`."""
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


class DeltaMissing(Exception):
    """The library that writes Delta tables is not installed: install `standpipe[delta]`."""


class DeltaFailed(Exception):
    """The table could not be read or written; what is not in it yet comes with the next export."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What one export did."""

    events: int = 0
    commits: int = 0
    place: int = 0
    """The table has the store's events up to here."""
    version: int | None = None
    """Of the table; None if there is none yet."""


def export(sealed: Sealed, target: str, *, on_commit: Callable[[Exported], None] = lambda _: None) -> Exported:
    """Bring the table at `target`, a directory or a URL (s3://, gs://, az://), up to what is in segments.

    Who we are to an object store is taken from the environment, as its own tools do. Raises DeltaMissing, DeltaFailed,
    and what reading a store does.
    """
    try:
        import deltalake  # noqa: F401  # or say so before anything is read
    except ImportError as error:
        raise DeltaMissing("Delta tables need deltalake: install standpipe[delta]") from error
    return _export(sealed, target, on_commit)


def _export(sealed: Sealed, target: str, on_commit: Callable[[Exported], None]) -> Exported:
    from deltalake import DeltaTable

    store, flushed = sealed.store()
    app, end = f"standpipe-{store}", sealed.end()
    with _naming(target):
        table = DeltaTable(target) if DeltaTable.is_deltatable(target) else None
        place = (table.transaction_version(app) or 0) if table else 0
    if place > flushed:
        raise DeltaFailed(f"{target} has events up to {place} of this store, which ends at {flushed}: it is older")
    done = Exported(place=place, version=table.version() if table else None)
    while place < end:
        until = sealed.cut(place, end, most_rows=MOST_ROWS, most_bytes=MOST_BYTES)
        events = sealed.read(place, until)
        place = until
        if events.num_rows:
            known = [field.name for field in table.schema().fields] if table else []
            rows = to_delta(events, known, MOST_COLUMNS)
            with _naming(target):
                table = _append(table or target, rows, app, place)
            done = Exported(done.events + events.num_rows, done.commits + 1, place, table.version())
            on_commit(done)
    return done


@contextmanager
def _naming(target: str) -> Iterator[None]:
    """Say of what the table, or where it is, refuses, which table that is; in plain text."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError) as error:
        raise DeltaFailed(f"{target}: {_COLOURS.sub('', str(error))}") from error


def _append(table: DeltaTable | str, rows: object, app: str, place: int) -> DeltaTable:
    """Commit rows together with the place behind them; fails if another export did so meanwhile."""
    from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake

    write_deltalake(
        table,
        rows,  # type: ignore[call-overload]  # Arrow, which has no types
        mode="append",
        schema_mode="merge",
        writer_properties=WriterProperties(compression="ZSTD"),
        commit_properties=CommitProperties(app_transactions=[Transaction(app, place, int(time.time() * 1000))]),
    )
    if isinstance(table, str):
        return DeltaTable(table)
    table.update_incremental()
    return table
