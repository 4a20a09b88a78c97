"""Bring the samples together that a query needs, each source asked once. Lives on the island."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from log_cache.promql.budget import Budget
from log_cache.promql.matchers import SOURCE, Selector
from log_cache.promql.query import Selection
from log_cache.promql.values import QueryError, Series
from log_cache.reads import Reads
from log_cache.series import Samples, Wanted, series_of

T = TypeVar("T")

_MS_NS = 1_000_000
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_SOURCES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Gathered:
    """Samples by source, and which sources each selection speaks of."""

    selections: Sequence[Selection]
    sources: Sequence[Sequence[str]]
    samples: Mapping[str, Sequence[Samples]]

    def series(self) -> list[list[Series]]:
        """Make the series of each selection: of its sources, those that it accepts. This is work for a thread."""
        found = {source: series_of(source, samples) for source, samples in self.samples.items()}
        return [
            [series for source in sources for series in found[source] if selection.accepts(series.labels)]
            for selection, sources in zip(self.selections, self.sources, strict=True)
        ]


async def gather(reads: Reads, selections: Sequence[Selection], budget: Budget, *, everything: bool) -> Gathered:
    """Read what selections need; raises `QueryError` for too much of it, and the `CallFailed` of another node.

    A selector that lists no source_id is refused, unless it may ask for `everything`: then all sources are looked at.
    """
    sources = [await _sources(reads, selection.selector, everything=everything) for selection in selections]
    wishes: dict[str, list[Selection]] = {}
    for selection, named in zip(selections, sources, strict=True):
        for source in named:
            wishes.setdefault(source, []).append(selection)
    samples: dict[str, list[Samples]] = {}

    async def fetch(source: str) -> None:
        samples[source] = await _samples(reads, source, wishes[source], budget)

    await for_each(wishes, fetch)
    return Gathered(selections, sources, samples)


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do some work for each of any number of items, for 16 at a time; the first failure ends it all."""
    waiting = iter(items)

    async def one_after_the_other() -> None:
        for item in waiting:
            await work(item)

    tasks = [asyncio.ensure_future(one_after_the_other()) for _ in range(_SOURCES_AT_ONCE)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _sources(reads: Reads, selector: Selector, *, everything: bool) -> Sequence[str]:
    listed = selector.sources()
    if listed is not None:
        return listed
    if not everything:
        raise QueryError("bad_data", f"metric '{selector.name}' does not have a 'source_id' label")
    matchers = [matcher for matcher in selector.matchers if matcher.label == SOURCE]
    held = await reads.meta(local_only=False)
    return [source for source in held if all(matcher.accepts(source) for matcher in matchers)]


async def _samples(reads: Reads, source: str, wished: Sequence[Selection], budget: Budget) -> list[Samples]:
    """Read what any of some selections wants of a source, in the widest of their windows.

    Times are cut to whole seconds later, so what was sent in the second of `start_ms` belongs to it or is too old.
    """
    start_ns = min(selection.start_ms for selection in wished) * _MS_NS
    end_ns = (max(selection.end_ms for selection in wished) + 1) * _MS_NS
    wanted = Wanted(lambda name: any(selection.wants(name) for selection in wished))
    parts = await reads.samples(source, max(start_ns, _LEAST), min(end_ns, _MOST), wanted)
    budget.spend(sum(len(times) // 8 for part in parts for times, _ in part.values()))
    return parts
