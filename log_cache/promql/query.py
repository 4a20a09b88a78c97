"""A PromQL query: parse it, ask which samples it needs, evaluate it over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from log_cache.promql.budget import MAX_POINTS, Budget
from log_cache.promql.engine import Engine
from log_cache.promql.matchers import Selector
from log_cache.promql.plan import Plan, Spans, String, Subquery
from log_cache.promql.planning import plan_of
from log_cache.promql.ranges import Ranges, within
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Columns, Labels, Numeric, Points, QueryError, Result, Sample, Series, Text


def parse(text: str) -> Query:
    """Parse a query; raises `QueryError` "bad_data" for one that is wrong, too large or not supported."""
    return Query(text, plan_of(text))


@dataclass(frozen=True, slots=True)
class Selection:
    """Samples that a query needs: of the series that `selector` accepts, from `start_ms` to `end_ms` (inclusive)."""

    selector: Selector
    start_ms: int
    end_ms: int

    @property
    def name(self) -> str:
        """The metric's name as it was asked for, or a pattern of it; empty if the selector has none."""
        return self.selector.name

    def wants(self, name: str) -> bool:
        """Whether metrics of this name are asked for."""
        return self.selector.wants(name)

    def accepts(self, labels: Labels) -> bool:
        """Whether the series with these labels, `__name__` among them, is asked for."""
        return self.selector.accepts(labels)

    def sources(self) -> tuple[str, ...] | None:
        """The source ids that the selector lists; None if it does not say of which sources it speaks."""
        return self.selector.sources()


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query."""

    text: str
    plan: Plan

    def selections(self, times: StepTimes) -> list[Selection]:
        """Which samples are needed, one entry for each selector of the query in the order of its text."""
        windows = self.plan.windows(self.plan.times(times))
        return [Selection(selector, *window) for selector, window in zip(self.plan.selectors, windows, strict=True)]

    def sources(self) -> tuple[str, ...]:
        """Every source id that is listed by any selector, each once."""
        listed = (selector.sources() or () for selector in self.plan.selectors)
        return tuple(dict.fromkeys(source for sources in listed for source in sources))

    def without_source(self) -> str | None:
        """The name of the first metric that is asked for without listing its sources; None if there is none."""
        return next((selector.name for selector in self.plan.selectors if selector.sources() is None), None)

    def renamed(self, ids: Mapping[str, Sequence[str]]) -> Query:
        """A copy that asks for the sources `ids[name]` in place of each source that is listed.

        A name that `ids` does not hold, or holds without ids, vanishes: a selector that lists no other source then
        matches nothing. Selectors that list no sources stay as they are.
        """
        selectors = tuple(selector.renamed(ids) for selector in self.plan.selectors)
        return replace(self, plan=replace(self.plan, selectors=selectors))

    def evaluate(self, times: StepTimes, series: Sequence[Sequence[Series]], budget: Budget) -> Result:
        """Evaluate over the samples: one list of series for each selection, in the same order.

        Series and samples that were not asked for are ignored, so a list may hold more than is needed; no two series
        of a list may have the same labels. Of samples with the same time a range has all, an instant the last. An
        instant query (`times.is_instant`) is answered with what the query is, a range query always with a "matrix".
        """
        if not times.is_instant:
            self._check_range_query()
        scopes = self.plan.times(times)
        wanted = [
            _chosen(Selection(selector, *window), candidates, budget)
            for selector, window, candidates in zip(self.plan.selectors, self.plan.windows(scopes), series, strict=True)
        ]
        return _result(Engine(self.plan, scopes, wanted, budget).run(), times)

    def _check_range_query(self) -> None:
        match self.plan.parts[-1][0]:
            case Spans() | Subquery():
                kind = "range vector"
            case String():
                kind = "string"
            case _:
                return
        raise QueryError(
            "bad_data", f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector'
        )


def _chosen(selection: Selection, candidates: Sequence[Series], budget: Budget) -> list[Series]:
    """The series that are asked for, in the order of their labels, cut to the samples that are needed."""
    chosen = []
    for series in sorted(candidates, key=lambda series: series.labels):
        budget.check()
        if selection.accepts(series.labels):
            chosen.append(within(series, selection.start_ms, selection.end_ms))
    return chosen


def _result(value: Columns | Numeric | Text | Ranges, times: StepTimes) -> Result:
    time_s = times.start_ms / 1000
    match value:
        case Text(text):
            return Result("string", (time_s, text))
        case Numeric(values) if times.is_instant:
            return Result("scalar", (time_s, float(values[0])))
        case Columns(labels, values, present) if times.is_instant:
            rows = np.flatnonzero(present[:, 0]).tolist()
            return Result("vector", [Sample(labels[row], time_s, float(values[row, 0])) for row in rows])
        case Ranges():
            _check_points(int(value.counts[:, 0].sum()) if len(value.labels) else 0)
            return Result("matrix", _raw(value))
        case Numeric(values):
            return Result("matrix", [((), Points(times.times / 1000, values))])
        case Columns():
            _check_points(int(value.present.sum()))
            return Result("matrix", _matrix(value, times))


def _check_points(points: int) -> None:
    if points > MAX_POINTS:
        message = f"the result has {points} points, at most {MAX_POINTS} are allowed: ask for less, or a longer step"
        raise QueryError("execution", message)


def _raw(ranges: Ranges) -> list[tuple[Labels, Points]]:
    """The samples themselves, of the one range of an instant query."""
    rows = []
    for labels, first, count in zip(ranges.labels, ranges.firsts[:, 0], ranges.counts[:, 0], strict=True):
        samples = slice(first, first + count)
        rows.append((labels, Points(ranges.times[samples] / 1000, ranges.values[samples])))
    return sorted(rows, key=lambda row: row[0])


def _matrix(columns: Columns, times: StepTimes) -> list[tuple[Labels, Points]]:
    seconds = times.times / 1000
    rows = []
    for labels, values, present in zip(columns.labels, columns.values, columns.present, strict=True):
        points = Points(seconds[present], values[present])
        if points:
            rows.append((labels, points))
    return sorted(rows, key=lambda row: row[0])
