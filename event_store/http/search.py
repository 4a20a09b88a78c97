"""What the API asks of the store, in the words of refusals. Blocks; may be called from several threads at once.

A query that cannot read a segment has the store look at it: if it is damaged it is set aside, and the rest answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow.compute as pc
import structlog

from event_store import engine
from event_store.engine import Engine, Limits, Progress, Result
from event_store.engine.summaries import Facets, FieldCount, Timeseries
from event_store.engine.watch import watched
from event_store.http.missed import Missed, missed
from event_store.http.plain import long_time
from event_store.http.refusals import ApiError
from event_store.http.runs import Job
from event_store.query.syntax import Expr, Query
from event_store.storage import Snapshot, Store, StoreClosed, StoreFull

T = TypeVar("T")

log = structlog.get_logger(__name__)


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

        def run(snapshot: Snapshot, limits: Limits) -> Result:
            limits = replace(limits, rows=rows)
            return self._engine.run(snapshot, query, limits, progress=_telling(job), cancel=job.cancel)

        return self._found(run, job)

    def sql(self, text: str, rows: int, job: Job) -> Result:
        """Run a SELECT on the view `events`."""

        def run(snapshot: Snapshot, limits: Limits) -> Result:
            limits = replace(limits, rows=rows)
            return self._engine.sql(snapshot, text, limits, progress=_telling(job), cancel=job.cancel)

        return self._found(run, job)

    def timeseries(self, query: Query, step_ns: int, by: str, job: Job) -> Timeseries:
        """Count the events of a query's filter over time."""

        def run(snapshot: Snapshot, limits: Limits) -> Timeseries:
            return engine.timeseries(self._engine, snapshot, query, step_ns, by or None, limits, job.cancel)

        return self._found(run, job)

    def facets(self, query: Query, field: str, limit: int, job: Job) -> Facets:
        """Count the values of a field among them."""

        def run(snapshot: Snapshot, limits: Limits) -> Facets:
            return engine.facets(self._engine, snapshot, query, field, limit, limits, job.cancel)

        return self._found(run, job)

    def fields(self, query: Query, job: Job) -> tuple[FieldCount, ...]:
        """List the fields that they have."""

        def run(snapshot: Snapshot, limits: Limits) -> tuple[FieldCount, ...]:
            return engine.field_counts(self._engine, snapshot, query, limits, job.cancel)

        return self._found(run, job)

    def missed(self, filter_: Expr, place: int | None, most: int, job: Job) -> Missed:
        """Find what comes before a tail that begins now: what stands at `place` and behind it, if one is given."""
        end = self._store.stats().next_seq
        if place is None:
            return Missed(end)

        def run(snapshot: Snapshot, limits: Limits) -> Missed:
            def ask(snapshot: Snapshot, query: Query, rows: int) -> Result:
                return self._engine.run(snapshot, query, replace(limits, rows=rows), cancel=job.cancel)

            return missed(ask, snapshot, filter_, place, end, most)

        return self._found(run, job)

    def _found(self, run: Callable[[Snapshot, Limits], T], job: Job) -> T:
        """Run it, and once again without what of the store turns out to be damaged; all in the time of one query."""
        limits = self._limits.shared()
        with _refusing(job):
            try:
                return run(self._store.snapshot(), limits)
            except engine.SegmentUnreadable as error:
                with watched(limits, None, job.cancel) as watch:
                    self._set_aside(error, lambda _: watch.check(), job)
            return run(self._store.snapshot(), limits)

    def _set_aside(self, error: engine.SegmentUnreadable, proceed: Callable[[int], None], job: Job) -> None:
        """Have the store look for the damage, and warn of it; raises the error if there is none."""
        log.warning("segment_unreadable", error=str(error))
        try:
            damages = self._store.checks.suspects(error.files, proceed)
        except (StoreFull, StoreClosed) as refused:
            raise error from refused
        if not damages:
            raise error
        for damage in damages:
            which = f": {damage.file}, {damage.what}" if job.reads_everything else ""
            job.warnings.append(f"a part of the store is damaged, was set aside, and is not in this answer{which}")

    def stats(self) -> dict[str, Any]:
        """Say what the store holds."""
        stats, snapshot = self._store.stats(), self._store.snapshot()
        oldest, newest = _ends(snapshot)
        return {
            "events": stats.events,
            "segments": stats.segments,
            "bytes": stats.segment_bytes + stats.index_bytes,
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
def _refusing(job: Job) -> Iterator[None]:
    """Translate the engine's errors; its own words may name files and values, which are not everybody's."""
    try:
        yield
    except engine.QueryTimeout as error:
        raise ApiError("timeout", str(error)) from error
    except engine.QueryCancelled as error:
        raise ApiError("cancelled", str(error)) from error
    except engine.QueryTooLarge as error:
        raise ApiError("too_large", str(error)) from error
    except engine.QueryRefused as error:
        raise ApiError("syntax", _told(error, job, "the store cannot run this query; its log says why")) from error
    except engine.QueryError as error:
        raise ApiError("internal", _told(error, job, "something cannot be read; the store's log says what")) from error


def _told(error: engine.QueryError, job: Job, instead: str) -> str:
    if job.reads_everything:
        return str(error)
    log.warning("query_failed", error=str(error))
    return instead


def _ends(snapshot: Snapshot) -> tuple[str | None, str | None]:
    found = [(segment.min_time, segment.max_time) for segment in snapshot.segments]
    for batch in snapshot.hot:
        ends = pc.min_max(batch.column("time").cast("int64"))
        found.append((ends["min"].as_py(), ends["max"].as_py()))
    if not found:
        return None, None
    return long_time(min(first for first, _ in found)), long_time(max(last for _, last in found))
