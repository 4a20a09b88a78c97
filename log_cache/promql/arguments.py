"""The arguments of a function, each as what the function takes it for; the grammar has checked that it is that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from log_cache.promql.rows import joined, nameless
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Columns, Flags, Numbers, Numeric, Text, Value

Function: TypeAlias = Callable[[Sequence[Value], StepTimes], Value]
"""A function of PromQL: from the arguments, of all steps at once."""


def vector(value: Value) -> Columns:
    """Take an instant vector."""
    assert isinstance(value, Columns)
    return value


def numbers(value: Value) -> Numbers:
    """Take a scalar: its number at every step."""
    assert isinstance(value, Numeric)
    return value.values


def text(value: Value) -> str:
    """Take a string literal."""
    assert isinstance(value, Text)
    return value.value


def seconds(times: StepTimes) -> Numbers:
    """Return the time of every step in seconds."""
    return times.times / 1000


def calculated(columns: Columns, values: Numbers, present: Flags | None = None) -> Columns:
    """Make of a vector one of other values and without the metric's name."""
    present = columns.present if present is None else columns.present & present
    return joined([nameless(labels) for labels in columns.labels], values, present)


def of_each_number(formula: Callable[[Numbers], Numbers]) -> Function:
    """Make a function of one vector from what it does with each number."""

    def function(arguments: Sequence[Value], _: StepTimes) -> Value:
        columns = vector(arguments[0])
        with np.errstate(all="ignore"):
            return calculated(columns, formula(columns.values))

    return function
