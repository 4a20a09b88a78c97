"""Answers queries about snapshots of one store.

What memory they take is bounded for all queries together, seconds and rows for each (`Limits`). Nothing here waits for
its turn: how many queries run at once is the caller's to say.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from event_store.engine.database import Database
from event_store.engine.indexes import Indexes
from event_store.engine.result import Result, Stats
from event_store.engine.run import Run
from event_store.engine.scanning import Scanner
from event_store.engine.sql import checked
from event_store.engine.watch import Limits, Progress, watched
from event_store.query.syntax import Query
from event_store.storage import Snapshot

OnProgress: TypeAlias = Callable[[Progress], None] | None
Cancel: TypeAlias = threading.Event | None


class Engine:
    """Answers queries about the store in one folder. May be used from any thread, by many at once."""

    def __init__(
        self,
        folder: Path,
        *,
        memory_bytes: int = 1 << 30,
        temp_bytes: int = 4 << 30,
        remembered_bytes: int = 64 << 20,
        index_bytes: int = 128 << 20,
        threads: int | None = None,
    ) -> None:
        self._database = Database(folder, memory_bytes=memory_bytes, temp_bytes=temp_bytes, threads=threads)
        self._scanner = Scanner(remembered_bytes, Indexes(index_bytes))

    def run(
        self,
        snapshot: Snapshot,
        query: Query,
        limits: Limits | None = None,
        progress: OnProgress = None,
        cancel: Cancel = None,
    ) -> Result:
        """Answer a query, or raise a QueryError. `progress` is called now and then, from another thread."""
        with self._running(snapshot, limits, progress, cancel) as run:
            return run.query(query)

    def sql(
        self,
        snapshot: Snapshot,
        text: str,
        limits: Limits | None = None,
        progress: OnProgress = None,
        cancel: Cancel = None,
    ) -> Result:
        """Answer one SELECT over `events`, or raise a QueryError: QueryRefused for anything else."""
        select = checked(text)
        with self._running(snapshot, limits, progress, cancel) as run:
            return run.sql(select)

    def counts(
        self, snapshot: Snapshot, query: Query, newest: int, limits: Limits | None = None, *, cancel: Cancel = None
    ) -> tuple[Mapping[str, int], Stats]:
        """Count the values of each column in the newest events, so many, that the query's filter lets through."""
        with self._running(snapshot, limits, None, cancel) as run:
            table, stats = run.counts(query, newest)
        counts: Counter[str] = Counter()
        for column, count in zip(table["column"].to_pylist(), table["count"].to_pylist(), strict=True):
            counts[column] += count  # there may be a column, and entries of the map
        return counts, stats

    def close(self) -> None:
        """Let go of memory and of what was put aside; no query may be running."""
        self._scanner.close()
        self._database.close()

    @contextmanager
    def _running(
        self,
        snapshot: Snapshot,
        limits: Limits | None,
        progress: OnProgress,
        cancel: Cancel,
    ) -> Iterator[Run]:
        with watched(limits or Limits(), progress, cancel) as watch, self._database.connect(watch) as connection:
            yield Run(snapshot, watch, connection, self._scanner)
