"""DuckDB in memory, shut in: it reads the segments of one store and nothing else, and nobody can open it again.

`allowed_directories` lets files be written there, too (measured: COPY does), so that a statement of a user's must be
one SELECT by DuckDB's own parser before it runs. Memory, threads and what is put aside on disk are bounded for all
queries together.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from event_store.engine import temporary
from event_store.engine.errors import QueryRefused, QueryTooLarge
from event_store.engine.watch import Watch

_BATCH_ROWS = 8192
_PROGRESS = "enable_progress_bar"
_LOCKED = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "parquet_metadata_cache": True,
    "preserve_insertion_order": False,
    "allowed_configs": [_PROGRESS, f"{_PROGRESS}_print"],
    "enable_external_access": False,
    "lock_configuration": True,
}
"""In this order: what comes last closes the door."""
_KINDS = {
    "INTERRUPT": duckdb.InterruptException,
    "Out of Memory": duckdb.OutOfMemoryException,
    "Conversion": duckdb.ConversionException,
    "Out of Range": duckdb.OutOfRangeException,
    "Invalid Input": duckdb.InvalidInputException,
    "Not implemented": duckdb.NotImplementedException,
}


class Database:
    """One DuckDB for all queries of a store; a connection for each. May be used from any thread."""

    def __init__(self, folder: Path, *, memory_bytes: int, temp_bytes: int, threads: int | None = None) -> None:
        temp, lock = temporary.claim()
        self._remove = weakref.finalize(self, temporary.release, temp, lock)
        self._root = duckdb.connect(":memory:")
        settings: dict[str, object] = {
            "memory_limit": f"{memory_bytes}B",
            "temp_directory": str(temp),
            "max_temp_directory_size": f"{temp_bytes}B",
            "allowed_directories": [str(folder.absolute())],
        }
        if threads is not None:
            settings["threads"] = threads
        for name, value in (settings | _LOCKED).items():
            self._root.execute(f"SET {name} = {_literal(value)}")

    @contextmanager
    def connect(self, watch: Watch) -> Iterator[Connection]:
        """Lend a connection whose statements end when the watch says so."""
        cursor = self._root.cursor()
        try:
            with watch.interrupting(cursor):
                if watch.progress is not None:
                    cursor.execute(f"SET {_PROGRESS} = true")
                    cursor.execute(f"SET {_PROGRESS}_print = false")
                yield Connection(cursor, watch)
        finally:
            cursor.close()

    def close(self) -> None:
        """Let go of everything."""
        self._root.close()
        self._remove()


class Connection:
    """What one query runs its statements on."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, watch: Watch) -> None:
        self._cursor = cursor
        self._watch = watch

    def check(self) -> None:
        """Raise QueryTimeout or QueryCancelled if the query is to end."""
        self._watch.check()

    def register(self, name: str, table: pa.Table) -> None:
        """Show a table under a name."""
        self._cursor.register(name, table)

    def execute(self, statement: str) -> None:
        """Run a statement of ours: what it names that is not there is lacking in a damaged file."""
        try:
            self._cursor.execute(statement)
        except duckdb.BinderException as error:
            raise duckdb.IOException(str(error)) from error

    def select(self, statement: str, rows: int | None = None) -> pa.Table:
        """Return what one SELECT gives; no more than one row over `rows`. QueryTooLarge if it is too big."""
        parsed = self._cursor.extract_statements(statement)
        if len(parsed) != 1 or parsed[0].type != duckdb.StatementType.SELECT:
            raise QueryRefused("only a single SELECT may be run: the store cannot be changed by SQL")
        relation = self._cursor.sql(parsed[0])
        reader = relation.to_arrow_reader(_BATCH_ROWS)
        batches, found, size = [], 0, 0
        for batch in _batches(reader):
            self._watch.check()
            batches.append(batch)
            found, size = found + batch.num_rows, size + batch.nbytes
            if size > self._watch.limits.bytes:
                raise QueryTooLarge(f"the answer has more than {self._watch.limits.bytes >> 20} MiB: ask for less")
            if rows is not None and found > rows:
                break
        return pa.Table.from_batches(batches, reader.schema).slice(0, None if rows is None else rows + 1)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yield what is read: Arrow makes an OSError of DuckDB's errors, whose text begins with what they are."""
    try:
        yield from reader
    except (OSError, pa.ArrowException) as error:
        raise _KINDS.get(str(error).partition(" Error: ")[0], duckdb.Error)(str(error)) from error


def _literal(value: object) -> str:
    match value:
        case bool() | int():
            return str(value).lower()
        case list():
            return f"[{', '.join(_literal(one) for one in value)}]"
        case _:
            return "'" + str(value).replace("'", "''") + "'"
