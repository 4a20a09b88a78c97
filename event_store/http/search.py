"""What the API asks of the store, in the words of refusals. Blocks; may be called from several threads at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow.compute as pc

from event_store import engine
from event_store.engine import Engine, Limits, Progress, Result
from event_store.engine.summaries import Facets, FieldCount, Timeseries
from event_store.http.plain import long_time
from event_store.http.refusals import ApiError
from event_store.http.runs import Job
from event_store.query.syntax import Query
from event_store.storage import Snapshot, Store


class Search:
    """Answers questions about one store; raises the `Refusal` of one that is not answered. `Job.cancel` ends it."""

    def __init__(self, engine: Engine, store: Store, limits: Limits) -> None:
        self._engine = engine
        self._store = store
        self._limits = limits

    @property
    def most_rows(self) -> int:
        """As many rows does an answer have at most."""
        return self._limits.rows

    def query(self, query: Query, rows: int, job: Job) -> Result:
        """Run a query; its answer has so many rows at most."""
        with _refusing():
            limits = replace(self._limits, rows=rows)
            return self._engine.run(self._store.snapshot(), query, limits, progress=_telling(job), cancel=job.cancel)

    def sql(self, text: str, rows: int, job: Job) -> Result:
        """Run a SELECT on the view `events`."""
        with _refusing():
            limits = replace(self._limits, rows=rows)
            return self._engine.sql(self._store.snapshot(), text, limits, progress=_telling(job), cancel=job.cancel)

    def timeseries(self, query: Query, step_ns: int, by: str, job: Job) -> Timeseries:
        """Count the events of a query's filter over time."""
        with _refusing():
            return engine.timeseries(
                self._engine, self._store.snapshot(), query, step_ns, by or None, self._limits, job.cancel
            )

    def facets(self, query: Query, field: str, limit: int, job: Job) -> Facets:
        """Count the values of a field among them."""
        with _refusing():
            return engine.facets(self._engine, self._store.snapshot(), query, field, limit, self._limits, job.cancel)

    def fields(self, query: Query, job: Job) -> tuple[FieldCount, ...]:
        """List the fields that they have."""
        with _refusing():
            return engine.field_counts(self._engine, self._store.snapshot(), query, self._limits, job.cancel)

    def stats(self) -> dict[str, Any]:
        """Say what the store holds."""
        stats, snapshot = self._store.stats(), self._store.snapshot()
        oldest, newest = _ends(snapshot)
        return {
            "events": stats.events,
            "segments": stats.segments,
            "bytes": stats.segment_bytes,
            "wal_bytes": stats.wal_bytes,
            "hot_events": stats.hot_events,
            "oldest": oldest,
            "newest": newest,
            "columns": len(snapshot.columns),
            "writer": {
                "next_seq": stats.next_seq,
                "hot_bytes": stats.hot_bytes,
                "set_aside": stats.set_aside,
                "damages": [damage.file for damage in stats.damages],
                "recovery_s": round(stats.recovery_s, 3),
            },
        }


def _telling(job: Job) -> Any:
    def tell(progress: Progress) -> None:
        job.tell(progress.done, progress.rows_scanned)

    return tell


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except engine.QueryTimeout as error:
        raise ApiError("timeout", str(error)) from error
    except engine.QueryCancelled as error:
        raise ApiError("cancelled", str(error)) from error
    except engine.QueryTooLarge as error:
        raise ApiError("too_large", str(error)) from error
    except engine.QueryRefused as error:
        raise ApiError("syntax", str(error)) from error
    except engine.QueryError as error:
        raise ApiError("internal", str(error)) from error


def _ends(snapshot: Snapshot) -> tuple[str | None, str | None]:
    found = [(segment.min_time, segment.max_time) for segment in snapshot.segments]
    for batch in snapshot.hot:
        ends = pc.min_max(batch.column("time").cast("int64"))
        found.append((ends["min"].as_py(), ends["max"].as_py()))
    if not found:
        return None, None
    return long_time(min(first for first, _ in found)), long_time(max(last for _, last in found))
