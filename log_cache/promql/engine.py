"""Run a plan: every part takes the values that the parts before it left, and leaves its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from log_cache.promql.aggregations import aggregate
from log_cache.promql.budget import Budget
from log_cache.promql.functions import FUNCTIONS, absent
from log_cache.promql.operators import binary, negate
from log_cache.promql.over_time import over_time
from log_cache.promql.plan import (
    Absent,
    Aggregate,
    Binary,
    Function,
    Instants,
    Negate,
    Number,
    OverTime,
    Part,
    Plan,
    Spans,
    String,
    Subquery,
)
from log_cache.promql.ranges import Ranges, newest, ranged, series_of
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Columns, Numeric, QueryError, Series, Text, Value

Intermediate: TypeAlias = Value | Ranges


@dataclass(slots=True)
class Engine:
    """Evaluates one plan at the moments of its scopes, over the samples of its selectors."""

    plan: Plan
    times: Sequence[StepTimes]
    series: Sequence[Sequence[Series]]
    budget: Budget
    _stack: list[Intermediate] = field(default_factory=list, init=False)

    def run(self) -> Intermediate:
        """Return the value of the whole query."""
        with np.errstate(all="ignore"):
            for part, scope in self.plan.parts:
                self.budget.spend(len(self.times[scope]))
                self._stack.append(self._evaluate(part, self.times[scope]))
        (value,) = self._stack
        return value

    def _evaluate(self, part: Part, times: StepTimes) -> Intermediate:
        match part:
            case Number(value):
                return Numeric(np.full(len(times), value))
            case String(value):
                return Text(value)
            case Instants(selector, when, stamps):
                moments = when.moments(times, self.times[0])
                return newest(self.series[selector], moments, self.budget, stamps=stamps)
            case Spans(selector, when, range_ms):
                moments = when.moments(times, self.times[0])
                return ranged(self.series[selector], moments, range_ms, times.times, self.budget)
            case Subquery(inner, when, range_ms):
                samples = series_of(self._vector(), self.times[inner].times)
                return ranged(samples, when.moments(times, self.times[0]), range_ms, times.times, self.budget)
            case OverTime(name, inputs):
                return self._paid(over_time(name, self._taken(inputs), self.budget))
            case _:
                return self._paid(self._calculate(part, times))

    def _calculate(self, part: Part, times: StepTimes) -> Value:
        match part:
            case Function(name, inputs):
                return FUNCTIONS[name]([self._value() for _ in range(inputs)][::-1], times)
            case Absent(labels):
                return absent(self._vector(), labels)
            case Aggregate(op, by, without, has_parameter):
                vector = self._vector()
                parameter = self._value() if has_parameter else None
                assert not isinstance(parameter, Columns)
                return aggregate(op, vector, by=by, without=without, parameter=parameter)
            case Binary(op, card, on, ignoring, group, return_bool):
                right, left = self._value(), self._value()
                return binary(
                    op, left, right, card=card, on=on, ignoring=ignoring, group=group, return_bool=return_bool
                )
            case Negate():
                return negate(self._value())
        raise AssertionError(part)

    def _paid(self, value: Value) -> Value:
        """Charge for the cells of a result."""
        if isinstance(value, Columns):
            self.budget.spend(value.values.size)
        return value

    def _taken(self, inputs: int) -> list[Intermediate]:
        """Take the last values that were left, in the order in which they were left."""
        taken = self._stack[-inputs:]
        del self._stack[-inputs:]
        return taken

    def _value(self) -> Value:
        value = self._stack.pop()
        if isinstance(value, Ranges):
            raise QueryError("bad_data", "a range vector stands where an instant vector or a scalar should")
        return value

    def _vector(self) -> Columns:
        value = self._value()
        if not isinstance(value, Columns):
            raise QueryError("bad_data", "a scalar stands where an instant vector should")
        return value
