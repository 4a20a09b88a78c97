"""The paths of Prometheus's HTTP API: queries, and what Grafana asks beside them (loggregator.md 4.3, 4.4).

In:    the text of a query, or selectors.
Out:   JSON as Prometheus writes it; only what the reader may read is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Protocol

import orjson
import trio

from log_cache.promql.answers import to_json
from log_cache.promql.query import Query
from log_cache.promql.values import QueryError, Result
from log_cache.rest.access import Gate
from log_cache.rest.parameters import Parameters, first
from log_cache.rest.reader import Reader
from log_cache.rest.refusals import no_promql, promql_error, query_error

_BUILD = {
    "version": "2.24.0",  # the first whose labels take selectors: what Grafana asks by
    "revision": "",
    "branch": "",
    "buildUser": "",
    "buildDate": "",
    "goVersion": "",
}


class Queries(Protocol):
    """What answers PromQL, on the island; `everything` allows selectors that do not say of which source."""

    async def instant(self, query: Query, time: str, *, everything: bool) -> Result:
        """Evaluate at one moment."""
        ...

    async def range(self, query: Query, start: str, end: str, step: str, *, everything: bool) -> Result:
        """Evaluate at evenly spaced ones."""
        ...

    async def series(self, matches: Sequence[Query], start: str, end: str, *, everything: bool) -> list[dict[str, str]]:
        """List the labels of the series that are selected."""
        ...

    async def labels(self, matches: Sequence[Query], start: str, end: str, *, everything: bool) -> list[str]:
        """List the names of their labels."""
        ...

    async def label_values(
        self, name: str, matches: Sequence[Query], start: str, end: str, *, everything: bool
    ) -> list[str]:
        """List the values of one of their labels."""
        ...

    async def metadata(self, sources: Iterable[str] | None) -> dict[str, list[dict[str, str]]]:
        """Say what the metrics of some sources are, or of all."""
        ...


class Prometheus:
    """Answers in Prometheus's stead."""

    def __init__(self, gate: Gate, reader: Reader, queries: Queries, *, is_on: bool) -> None:
        self._gate = gate
        self._reader = reader
        self._queries = queries
        self._is_on = is_on

    async def answer(self, name: str, argument: str, given: Parameters, token: str | None) -> bytes:
        """Answer one request; raises the `Refusal` of one that is not answered."""
        if not self._is_on:
            raise no_promql()
        try:
            return await self._answer(name, argument, given, token) + b"\n"
        except QueryError as failed:
            raise query_error(failed) from failed

    async def _answer(self, name: str, argument: str, given: Parameters, token: str | None) -> bytes:
        match name:
            case "query":
                return await self._evaluate(self._queries.instant, given, token, "time")
            case "query_range":
                return await self._evaluate(self._queries.range, given, token, "start", "end", "step")
            case "series" if not given.get("match[]"):
                raise promql_error("bad_data", "no match[] parameter provided")
            case "series":
                return _success(await self._list(self._queries.series, given, token))
            case "labels":
                return _success(await self._list(self._queries.labels, given, token))
            case "label_values" if argument == "source_id" and not given.get("match[]"):
                return _success(sorted(await self._held(token)))
            case "label_values":
                return _success(await self._list(partial(self._queries.label_values, argument), given, token))
            case "metadata":
                sources = await self._held(token)
                return _success(await self._reader.run(self._queries.metadata, sources))
            case _:
                return _success(_BUILD)

    async def _evaluate(self, evaluate: Any, given: Parameters, token: str | None, *times: str) -> bytes:
        passed = await self._gate.queries(token, [first("query", given)])
        texts = [first(name, given) for name in times]
        result = await self._reader.run(partial(evaluate, everything=passed.everything), passed.queries[0], *texts)
        return await trio.to_thread.run_sync(to_json, result)

    async def _list(self, listing: Any, given: Parameters, token: str | None) -> Any:
        """List something of the series that are selected; without selectors, of all that may be read."""
        if given.get("match[]"):
            passed = await self._gate.queries(token, given["match[]"])
        else:
            passed = await self._gate.any_of(token, partial(self._reader.meta, local_only=False))
        asking = partial(listing, everything=passed.everything)
        return await self._reader.run(asking, passed.queries, first("start", given), first("end", given))

    async def _held(self, token: str | None) -> set[str]:
        """Return the sources that are held and may be read."""
        readable = await self._gate.sources(token)
        held = await self._reader.meta(local_only=False)
        return set(held) if readable is None else set(held) & readable


def _success(answer: Any) -> bytes:
    return orjson.dumps({"status": "success", "data": answer})
