"""Bring the samples together that a query needs, each source asked once. Lives on the island."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from log_cache.promql.budget import Budget
from log_cache.promql.matchers import SOURCE, Matcher, Selector
from log_cache.promql.query import Selection
from log_cache.promql.values import QueryError, Series
from log_cache.reads import Ask, Reads
from log_cache.series import Samples, Wanted, series_of

T = TypeVar("T")

_MS_NS = 1_000_000
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_SOURCES_AT_ONCE = 16
_HERE_AT_ONCE = 128
"""Sources of this node that are read in one go: most of 100,000 have little, and a way to a thread costs 0.1 ms."""
_CHECKED = 1000
_PART_BYTES = 400
"""About what a series takes besides its samples and names, for each part that it is read in."""
_COPIES = 4
"""Of its names and tags: as they came, as text, as labels of a result."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Samples by source, and which sources each selection speaks of."""

    selections: Sequence[Selection]
    sources: Sequence[Sequence[str]]
    samples: Mapping[str, Sequence[Samples]]

    def series(self, check: Callable[[], None]) -> list[list[Series]]:
        """Make the series of each selection: of its sources, those that it accepts.

        This is work for a thread; `check` is called now and then, and may raise to end it.
        """
        found: dict[str, list[Series]] = {}
        for source, samples in self.samples.items():
            check()
            found[source] = series_of(source, samples)
        chosen: list[list[Series]] = []
        for selection, sources in zip(self.selections, self.sources, strict=True):
            chosen.append(of_selection := [])
            for source in sources:
                check()
                of_selection += [series for series in found[source] if selection.accepts(series.labels)]
        return chosen


async def gather(reads: Reads, selections: Sequence[Selection], budget: Budget, *, everything: bool) -> Gathered:
    """Read what selections need; raises `QueryError` for too much of it, and the `CallFailed` of another node.

    A selector that lists no source_id is refused, unless it may ask for `everything`: then all sources are looked at.
    """
    sources = [await _sources(reads, selection.selector, budget, everything=everything) for selection in selections]
    wishes: dict[str, list[Selection]] = {}
    for selection, named in zip(selections, sources, strict=True):
        for source in named:
            wishes.setdefault(source, []).append(selection)
    samples: dict[str, list[Samples]] = {}

    async def fetch_here(some: Sequence[str]) -> None:
        asked = [_ask(source, wishes[source]) for source in some]
        found = await reads.samples_here(asked, lambda part: _pay(part, budget))
        samples.update(zip(some, found, strict=True))

    async def fetch(source: str) -> None:
        ask = _ask(source, wishes[source])
        samples[source] = await reads.samples(source, ask.start_ns, ask.end_ns, ask.wanted)
        for part in samples[source]:
            _pay(part, budget)

    await for_each(_in_groups(source for source in wishes if reads.is_here(source)), fetch_here)
    await for_each((source for source in wishes if not reads.is_here(source)), fetch)
    return Gathered(selections, sources, samples)


def _in_groups(sources: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(sources)
    while group := list(islice(waiting, _HERE_AT_ONCE)):
        yield group


def _pay(part: Samples, budget: Budget) -> None:
    budget.hold(len(part) * _PART_BYTES + _COPIES * sum([len(name) + len(tags) for name, _, tags in part]))
    budget.spend(sum([len(times) for times, _ in part.values()]) // 8)


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
        while tasks:  # one that failed would hold on to itself by the frame of this function, and to all it had found
            tasks.pop().cancel()


async def _sources(reads: Reads, selector: Selector, budget: Budget, *, everything: bool) -> Sequence[str]:
    listed = selector.sources()
    if listed is not None:
        return listed
    if not everything:
        raise QueryError("bad_data", f"metric '{selector.name}' does not have a 'source_id' label")
    matchers = [matcher for matcher in selector.matchers if matcher.label == SOURCE]
    held = await reads.meta(local_only=False)
    return await asyncio.to_thread(_accepted, held, matchers, budget) if matchers else list(held)


def _accepted(sources: Iterable[str], matchers: Sequence[Matcher], budget: Budget) -> list[str]:
    """Look at all sources: there may be very many of them, and patterns that take their time."""
    accepted: list[str] = []
    for number, source in enumerate(sources):
        if number % _CHECKED == 0:
            budget.check()
        if all(matcher.accepts(source) for matcher in matchers):
            accepted.append(source)
    return accepted


def _ask(source: str, wished: Sequence[Selection]) -> Ask:
    """Ask for what any of some selections wants of a source, in the widest of their windows.

    Times are cut to whole seconds later, so what was sent in the second of `start_ms` belongs to it or is too old.
    """
    start_ns = min(selection.start_ms for selection in wished) * _MS_NS
    end_ns = (max(selection.end_ms for selection in wished) + 1) * _MS_NS
    wanted = Wanted(lambda name: any(selection.wants(name) for selection in wished))
    return Ask(source, max(start_ns, _LEAST), min(end_ns, _MOST), wanted)
