"""A parsed query as a list of parts in the order of their evaluation: each takes what the ones before it left.

The list is made, and run, without recursion, so that the depth of a query costs no stack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from log_cache.promql.matchers import Selector
from log_cache.promql.matching import Cardinality
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Labels, QueryError, Times

LOOK_BACK_MS = 300_000
"""How old a sample may be at a moment for which there is no newer one."""

MAX_SUBQUERY_STEPS = 1_000_000
"""Moments at which one subquery may be evaluated: eleven days of seconds."""


@dataclass(frozen=True, slots=True)
class When:
    """How a selector or subquery moves in time: `offset` back, from a fixed moment if there is an `@`."""

    at: int | Literal["start", "end"] | None
    offset_ms: int

    def moments(self, times: StepTimes, query: StepTimes) -> Times:
        """The moment looked at in place of each of `times`; `query` is the whole query's."""
        fixed = self._fixed(query)
        moments = times.times if fixed is None else times.times * 0 + fixed
        return moments - self.offset_ms

    def bounds(self, times: StepTimes, query: StepTimes) -> tuple[int, int]:
        """The first and the last of the moments."""
        fixed = self._fixed(query)
        first, last = (times.start_ms, times.end_ms) if fixed is None else (fixed, fixed)
        return first - self.offset_ms, last - self.offset_ms

    def _fixed(self, query: StepTimes) -> int | None:
        match self.at:
            case "start":
                return query.start_ms
            case "end":
                return query.end_ms
            case at:
                return at


@dataclass(frozen=True, slots=True)
class Number:
    """A literal."""

    value: float


@dataclass(frozen=True, slots=True)
class String:
    """A literal."""

    value: str


@dataclass(frozen=True, slots=True)
class Instants:
    """The newest sample of each series at each moment, or when that was taken."""

    selector: int
    when: When
    stamps: bool = False


@dataclass(frozen=True, slots=True)
class Spans:
    """The samples of each series in a range before each moment."""

    selector: int
    when: When
    range_ms: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """The values of an inner query, evaluated in its own scope, in a range before each moment. Takes one value."""

    inner: int
    when: When
    range_ms: int


@dataclass(frozen=True, slots=True)
class OverTime:
    """A function over ranges. Takes `inputs` values."""

    name: str
    inputs: int


@dataclass(frozen=True, slots=True)
class Absent:
    """1 at the moments where nothing is there, with the labels that the selector names. Takes one value."""

    labels: Labels


@dataclass(frozen=True, slots=True)
class Function:
    """A function over instant vectors, numbers and texts. Takes `inputs` values."""

    name: str
    inputs: int


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation. Takes its parameter, if it has one, and a vector."""

    op: str
    by: tuple[str, ...] | None
    without: tuple[str, ...] | None
    parameter: bool


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two values."""

    op: str
    card: Cardinality
    on: tuple[str, ...] | None
    ignoring: tuple[str, ...] | None
    group: tuple[str, ...]
    """Labels that the result takes from the "one" side."""
    return_bool: bool


@dataclass(frozen=True, slots=True)
class Negate:
    """The unary minus. Takes one value."""


Part: TypeAlias = (
    Number | String | Instants | Spans | Subquery | OverTime | Absent | Function | Aggregate | Binary | Negate
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a subquery evaluates its inner query at: multiples of `step_ms` that lie in its range."""

    parent: int
    when: When
    range_ms: int
    step_ms: int

    def times(self, outer: StepTimes, query: StepTimes) -> StepTimes:
        """The moments, one at least: where no multiple lies in the range, the first one behind it."""
        first, last = self.when.bounds(outer, query)
        start = -(-(first - self.range_ms) // self.step_ms) * self.step_ms
        end = max(start, last // self.step_ms * self.step_ms)
        return StepTimes(start_ms=start, end_ms=end, step_ms=self.step_ms)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole query; the last part leaves its value. Scope 0 is the query itself, the others are subqueries."""

    parts: tuple[tuple[Part, int], ...]
    """Each with the scope that it is evaluated in."""
    scopes: tuple[Scope, ...]
    """Of the subqueries: the first is scope 1."""
    selectors: tuple[Selector, ...]

    def times(self, query: StepTimes) -> list[StepTimes]:
        """The moments of every scope."""
        times = [query]
        for scope in self.scopes:
            times.append(scope.times(times[scope.parent], query))
            if len(times[-1]) > MAX_SUBQUERY_STEPS:
                message = "query processing would load too many samples into memory in query execution"
                raise QueryError("execution", message)
        return times

    def windows(self, times: list[StepTimes]) -> list[tuple[int, int]]:
        """For each selector, in order, the first and the last millisecond it looks at."""
        found: dict[int, tuple[int, int]] = {}
        for part, scope in self.parts:
            if isinstance(part, Instants | Spans):
                first, last = part.when.bounds(times[scope], times[0])
                back = part.range_ms if isinstance(part, Spans) else LOOK_BACK_MS
                found[part.selector] = (first - back, last)
        return [found[number] for number in range(len(self.selectors))]
