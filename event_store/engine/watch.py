"""Ends a query when its time is over or somebody asks it to, and tells how far it is: a thread beside each query."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import duckdb

from event_store.engine.errors import QueryCancelled, QueryRefused, QueryTimeout, QueryTooLarge, SegmentUnreadable

_POLL_S = 0.02
_PROGRESS_POLLS = 5
_USERS = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.PermissionException)
_DAMAGE = (duckdb.IOException, duckdb.InternalException, duckdb.SerializationException, duckdb.FatalException)
"""What it says of a file that is not what was written; or an error of no kind, such as "Out of buffer"."""
_QUOTING = (*_USERS, duckdb.ConversionException, duckdb.OutOfRangeException)
"""What repeats a text of the query's or of an event's: the name of a file in it says nothing."""
_VALUES = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one query may take; its memory is the engine's."""

    seconds: float = 30.0
    rows: int = 100_000
    bytes: int = 256 << 20
    """Of the answer, in memory."""
    ends: float | None = None
    """When the time is over, on the monotonic clock, though `seconds` be not: several queries may share it."""

    def shared(self) -> Limits:
        """Begin now: queries that are given this take no longer than `seconds`, all together."""
        return self if self.ends is not None else replace(self, ends=time.monotonic() + self.seconds)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a query is: from 0 to 1, as far as that can be known."""

    done: float
    rows_scanned: int


@dataclass(slots=True)
class Watch:
    """One query that runs. `advance` and `check` are for the thread that runs it."""

    limits: Limits
    progress: Callable[[Progress], None] | None
    cancel: threading.Event | None
    rows_scanned: int = 0
    files: set[str] = field(default_factory=set)
    """Of the segments that are looked into: where one of them is damaged, DuckDB does not always say which."""
    _ends: float = 0.0
    _share: float = 0.0
    _why: Exception | None = None
    _connection: duckdb.DuckDBPyConnection | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise QueryTimeout or QueryCancelled if the query is to end."""
        self._look()
        if self._why is not None:
            raise self._why

    def advance(self, rows: int, total: int) -> None:
        """Note that so many more rows were looked at, of `total`; 0 if that says nothing about how far it is."""
        self.rows_scanned += rows
        if total:
            self._share = max(self._share, min(self.rows_scanned / total, 1.0))

    @contextmanager
    def interrupting(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Interrupt what the connection runs within this, when the query is to end; foreign errors become ours."""
        self._connection = connection
        try:
            yield
        except duckdb.Error as error:
            raise self._translated(error) from error
        finally:
            with self._lock:
                self._connection = None

    def _translated(self, error: duckdb.Error) -> Exception:
        said = str(error).strip().splitlines()[0]
        if self._why is not None:
            return self._why
        if isinstance(error, duckdb.OutOfMemoryException):
            return QueryTooLarge("the query needs more memory than there is: shorten its time range or group by less")
        if ".parquet" in said and not isinstance(error, _QUOTING):
            named = [file for file in self.files if file in said]
            why = f"a segment cannot be read: try again, then `standpipe store verify`: {said}"
            return SegmentUnreadable(why, named)
        if isinstance(error, _USERS):
            return QueryRefused(str(error).strip())
        if isinstance(error, _VALUES):
            return QueryRefused(said)
        is_damage = type(error) is duckdb.Error or isinstance(error, _DAMAGE)
        return SegmentUnreadable(f"the query failed: {said}", self.files if is_damage else ())

    def _run(self) -> None:
        polls = 0
        while not self._over.wait(_POLL_S):
            polls += 1
            self._look()
            with self._lock:  # the connection is not closed meanwhile
                if self._connection is not None and self._why is not None:
                    self._connection.interrupt()  # again and again: it may have been between two statements
            if self.progress is not None and polls % _PROGRESS_POLLS == 0:
                self._tell(self.progress)

    def _look(self) -> None:
        if self._why is None and self.cancel is not None and self.cancel.is_set():
            self._why = QueryCancelled("the query was cancelled")
        if self._why is None and time.monotonic() > self._ends:
            told = f"the query took longer than {self.limits.seconds:g} s"
            self._why = QueryTimeout(f"{told}: shorten its time range, or filter by a source first")

    def _tell(self, progress: Callable[[Progress], None]) -> None:
        try:
            progress(Progress(max(self._share, self._engine_share()), self.rows_scanned))
        except Exception as error:  # it ends the query, whose thread raises it
            self._why = self._why or error

    def _engine_share(self) -> float:
        with self._lock:
            if self._connection is None:
                return 0.0
            return max(self._connection.query_progress(), 0.0) / 100


@contextmanager
def watched(
    limits: Limits, progress: Callable[[Progress], None] | None, cancel: threading.Event | None
) -> Iterator[Watch]:
    """Watch the query that runs within this; `progress` is called from another thread, and what it raises ends it."""
    watch = Watch(limits, progress, cancel)
    watch._ends = limits.shared().ends or 0.0
    thread = threading.Thread(target=watch._run, name="query watch", daemon=True)
    thread.start()
    try:
        watch.check()
        yield watch
        watch.check()
    finally:
        watch._over.set()
        thread.join()
