"""What each route answers: made of what the store finds, in a thread, and written there too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import trio

from event_store.engine import Result
from event_store.http.asked import Sources, limited, query_of, step_of
from event_store.http.counted import facets_json, fields_json, stats_json, timeseries_json
from event_store.http.formats import JSON_TYPE, Table, json_bytes
from event_store.http.missed import Missed
from event_store.http.parameters import Given, choice, whole
from event_store.http.parameters import field as field_of
from event_store.http.refusals import no_such_path
from event_store.http.routes import FORMAT
from event_store.http.runs import Job, Runs
from event_store.http.search import Search
from event_store.query.syntax import Expr, Query, Span
from event_store.query.times import format_time

_OF_ALL = "no event has a field "
"""So begins a warning that says what is, and is not, among the events that somebody may not read."""
_FACETS, _MOST_FACETS = 10, 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    body: bytes
    type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


Work: TypeAlias = Callable[[Job], Awaitable[Answer]]


class Answers:
    """Answers every route that asks the store something."""

    def __init__(self, search: Search, runs: Runs) -> None:
        self._search = search
        self._runs = runs

    def prepare(self, route: str, given: Given, sources: Sources, now_ns: int) -> Work:
        """Read what is asked, or raise the `Refusal` of what makes no sense; running it gives the answer."""
        if route == "stats":
            return self._in_thread(lambda job: _json(self._search.stats(), job))
        if route == "sql":
            return self._in_thread(self._sql(given))
        query = query_of(given, now_ns, sources)
        match route:
            case "query":
                return self._in_thread(self._query(query, given))
            case "timeseries":
                return self._in_thread(self._timeseries(query, given))
            case "facets":
                wanted, limit = field_of(given, "field"), whole(given, "limit", _FACETS, _MOST_FACETS)
                return self._in_thread(self._facets(query, wanted, limit))
            case "fields":
                return self._in_thread(lambda job: _json(fields_json(self._search.fields(query, job)), job))
            case _:
                raise no_such_path()

    async def missed(self, filter_: Expr, place: int | None, most: int, sources: Sources) -> Missed:
        """Find what comes before a live tail: the newest `most` events from the place on where its client was."""
        job = Job(reads_everything=sources is None)
        if place is None:
            return await trio.to_thread.run_sync(self._search.missed, filter_, place, most, job)
        return await self._runs.run(partial(self._search.missed, filter_, place, most), job)

    def _in_thread(self, work: Callable[[Job], Answer]) -> Work:
        return partial(self._runs.run, work)

    def _query(self, query: Query, given: Given) -> Callable[[Job], Answer]:
        query, rows = limited(query, given, self._search.most_rows)
        format_ = choice(given, "format", FORMAT.choices)

        def work(job: Job) -> Answer:
            return _written(self._search.query(query, rows, job), format_, job, _span(query.span))

        return work

    def _timeseries(self, query: Query, given: Given) -> Callable[[Job], Answer]:
        step_ns, by = step_of(given, query.span), field_of(given, "by")

        def work(job: Job) -> Answer:
            found = self._search.timeseries(query, step_ns, by, job)
            in_full = job.reads_everything
            return _json(timeseries_json(found, query.span.end_ns, has_names=bool(by), in_full=in_full), job)

        return work

    def _facets(self, query: Query, wanted: str, limit: int) -> Callable[[Job], Answer]:
        def work(job: Job) -> Answer:
            return _json(facets_json(self._search.facets(query, wanted, limit, job), in_full=job.reads_everything), job)

        return work

    def _sql(self, given: Given) -> Callable[[Job], Answer]:
        text, rows = given["sql"], whole(given, "limit", self._search.most_rows, self._search.most_rows)
        format_ = choice(given, "format", FORMAT.choices)
        return lambda job: _written(self._search.sql(text, rows, job), format_, job)


def _written(found: Result, format_: str, job: Job, span: Mapping[str, str] | None = None) -> Answer:
    is_told = job.reads_everything
    table = Table(
        table=found.table,
        are_events=found.is_events,
        warnings=[one for one in found.warnings if is_told or not one.startswith(_OF_ALL)] + job.warnings,
        span=span,
        stats=stats_json(found.stats, in_full=is_told),
    )
    body, type_ = table.body(format_)
    return Answer(body, type_, {} if type_ == JSON_TYPE else table.headers())


def _json(value: dict[str, Any], job: Job) -> Answer:
    return Answer(json_bytes({**value, "warnings": job.warnings} if job.warnings else value))


def _span(span: Span) -> dict[str, str]:
    return {"start": format_time(span.start_ns), "end": format_time(span.end_ns)}
