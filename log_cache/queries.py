"""PromQL over what is cached: what clients may ask, and how long an answer may take (loggregator.md 4.3, 4.4).

Lives on the island. Queries are parsed and evaluated in threads of their own, so that reads never wait for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, Literal, TypeAlias, TypeVar

from log_cache import listing
from log_cache.gathering import Gathered, for_each, gather
from log_cache.moments import parse_step, parse_time
from log_cache.promql.budget import LOADED_BYTES, Budget
from log_cache.promql.matchers import Selector
from log_cache.promql.query import Query, Selection, parse
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import NAME, Labels, QueryError, Result, Sample
from log_cache.query import MAX_LIMIT
from log_cache.query import Query as Read
from log_cache.query_memory import QueryMemory, Share
from log_cache.reads import NUMBERS, Reads
from plumbing.unary_client import CallFailed

T = TypeVar("T")
Kind: TypeAlias = Literal["instant", "range", "listing"]

MAX_MATCHES = 100
"""Selectors of one question about labels or series."""

_SECOND_NS = 1_000_000_000
_MOST_BYTES = 256 << 20
_LEAST_MS, _MOST_MS = -(1 << 63) // 1_000_000, (1 << 63) // 1_000_000


@dataclass(slots=True)
class QueryCounts:
    """What became of queries, and of questions about labels, series and metadata (`listing`)."""

    queries: dict[Kind, int] = field(default_factory=lambda: {"instant": 0, "range": 0, "listing": 0})
    seconds: dict[Kind, float] = field(default_factory=lambda: {"instant": 0.0, "range": 0.0, "listing": 0.0})
    """How long they took, all together."""
    last_s: dict[Kind, float] = field(default_factory=lambda: {"instant": 0.0, "range": 0.0, "listing": 0.0})
    """How long the last one took."""
    failures: int = 0
    """Timeouts included."""
    timeouts: int = 0
    running: int = 0
    """Those that wait for their turn are none of them."""


class Queries:
    """Answers PromQL, so many queries at once; one more waits, and its time runs.

    A query is a text, or was parsed already and perhaps confined to some sources. A selector that lists no source_id
    is refused, unless the query may ask for `everything`. Whatever goes wrong is a `QueryError`.
    """

    def __init__(
        self,
        reads: Reads,
        *,
        now_ns: Callable[[], int],
        timeout_s: float,
        at_once: int,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        """Take what is read from; queries together take `most_bytes` of memory, by estimate."""
        self.counts = QueryCounts()
        self._memory = QueryMemory(most_bytes)
        self._reads = reads
        self._now_ns = now_ns
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(at_once)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="log-cache-query")

    def close(self) -> None:
        """Begin no evaluation any more; those that are under way end by themselves, or at their deadline."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def instant(self, query: str | Query, time: str = "", *, everything: bool = False) -> Result:
        """Evaluate at one moment, which is now, to the second, if none is given.

        Results of selectors that give the name of their metric carry no `__name__`, as the original's do not.
        """
        async with self._turn("instant") as budget:
            moment_ms = parse_time("time", time) if time else self._now_ns() // _SECOND_NS * 1000
            return await self._evaluated(query, StepTimes.instant(moment_ms), budget, everything=everything)

    async def range(self, query: str | Query, start: str, end: str, step: str, *, everything: bool = False) -> Result:
        """Evaluate at evenly spaced moments; names as in `instant`."""
        async with self._turn("range") as budget:
            step_ms = parse_step(step)
            times = StepTimes.spaced(parse_time("start", start), parse_time("end", end), step_ms)
            return await self._evaluated(query, times, budget, everything=everything)

    async def series(
        self, matches: Sequence[str | Query], start: str = "", end: str = "", *, everything: bool = False
    ) -> list[dict[str, str]]:
        """List the labels of every series that a selector accepts and that has samples from `start` to `end`.

        Without times, of all that is held. There may be `MAX_MATCHES` selectors; none stands for all series, and is
        for those who may ask for everything.
        """
        return await self._listed(listing.series_of, matches, start, end, everything=everything)

    async def labels(
        self, matches: Sequence[str | Query] = (), start: str = "", end: str = "", *, everything: bool = False
    ) -> list[str]:
        """List the names of the labels of such series."""
        return await self._listed(listing.names_of, matches, start, end, everything=everything)

    async def label_values(
        self,
        name: str,
        matches: Sequence[str | Query] = (),
        start: str = "",
        end: str = "",
        *,
        everything: bool = False,
    ) -> list[str]:
        """List the values that a label has among such series."""
        values = partial(listing.values_of, name=name)
        return await self._listed(values, matches, start, end, everything=everything)

    async def metadata(self, sources: Iterable[str] | None = None) -> dict[str, list[dict[str, str]]]:
        """Say of each metric what it is, as the newest thousand envelopes of each of some sources have it.

        `sources` None is for those who may ask for everything. The form is that of Prometheus's `/api/v1/metadata`.
        """
        async with self._turn("listing") as budget:
            found: set[listing.Description] = set()

            async def describe(source: str) -> None:
                answer = await self._reads.read(_newest(source, self._now_ns()))
                found.update(await self._in_thread(listing.descriptions, answer.batch))
                budget.spend(answer.count)

            await for_each(await self._reads.meta() if sources is None else sources, describe)
            return listing.by_metric(found)

    async def _evaluated(self, query: str | Query, times: StepTimes, budget: Budget, *, everything: bool) -> Result:
        parsed = await self._parsed(query)
        selections = await self._in_thread(parsed.selections, times)
        loading = Budget(check=budget.check, hold=budget.hold, each_bytes=LOADED_BYTES)
        gathered = await gather(self._reads, selections, loading, everything=everything)
        return await self._in_thread(_result, parsed, times, gathered, budget)

    async def _listed(
        self,
        shown: Callable[[set[Labels]], T],
        matches: Sequence[str | Query],
        start: str,
        end: str,
        *,
        everything: bool,
    ) -> T:
        async with self._turn("listing") as budget:
            if not matches and not everything:
                raise QueryError("bad_data", "no match[] parameter provided")
            if len(matches) > MAX_MATCHES:
                raise QueryError("bad_data", f"more than {MAX_MATCHES} match[] parameters")
            start_ms = parse_time("start", start) if start else _LEAST_MS
            end_ms = parse_time("end", end) if end else _MOST_MS
            selectors = [each for match in matches for each in (await self._parsed(match)).plan.selectors]
            selections = [Selection(each, start_ms, end_ms) for each in selectors or [Selector(matchers=())]]
            gathered = await gather(self._reads, selections, budget, everything=everything)
            return await self._in_thread(lambda: shown(_labels(gathered, budget)))

    async def _parsed(self, query: str | Query) -> Query:
        return await self._in_thread(parse, query) if isinstance(query, str) else query

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    @asynccontextmanager
    async def _turn(self, kind: Kind) -> AsyncIterator[Budget]:
        """Wait for one's turn, and be counted; what the time runs out for is a `QueryError` "timeout"."""
        counts, began = self.counts, monotonic()
        counts.queries[kind] += 1
        try:
            async with asyncio.timeout(self._timeout_s), self._turns:
                counts.running += 1
                share = self._memory.share()
                try:
                    check = _deadline(began + self._timeout_s, share)
                    yield Budget(check=check, hold=share.hold)
                finally:
                    share.end()
                    counts.running -= 1
        except TimeoutError:
            counts.failures += 1
            counts.timeouts += 1
            raise _timeout() from None
        except Exception as error:
            counts.failures += 1
            counts.timeouts += isinstance(error, QueryError) and error.kind == "timeout"
            if isinstance(error, CallFailed):
                raise QueryError("execution", str(error)) from error
            raise
        finally:
            counts.last_s[kind] = monotonic() - began
            counts.seconds[kind] += counts.last_s[kind]


def _deadline(at: float, share: Share) -> Callable[[], None]:
    """Make what ends an evaluation when it is too late, or when nobody waits for it any more."""

    def check() -> None:
        if share.is_over or monotonic() > at:
            raise _timeout()

    return check


def _timeout() -> QueryError:
    return QueryError("timeout", "query timed out in query execution")


def _newest(source_id: str, now_ns: int) -> Read:
    return Read(source_id=source_id, start=-(1 << 63), end=now_ns, limit=MAX_LIMIT, kinds=NUMBERS, descending=True)


def _labels(gathered: Gathered, budget: Budget) -> set[Labels]:
    return {series.labels for found in gathered.series(budget.check) for series in found}


def _result(query: Query, times: StepTimes, gathered: Gathered, budget: Budget) -> Result:
    result = query.evaluate(times, gathered.series(budget.check), budget)
    if not all(_names_its_metric(selection.selector) for selection in gathered.selections):
        return result
    data: Any = result.data
    match result.kind:
        case "vector":
            data = [Sample(_unnamed(labels), time_s, value) for labels, time_s, value in data]
        case "matrix":
            data = sorted([(_unnamed(labels), points) for labels, points in data], key=lambda row: row[0])
    return Result(result.kind, data)


def _names_its_metric(selector: Selector) -> bool:
    return any(matcher.label == NAME and matcher.operator == "=" for matcher in selector.matchers)


def _unnamed(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != NAME)
