"""The functions of instant vectors and of scalars, by name; those of ranges of samples are elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from log_cache.promql import dates
from log_cache.promql.arguments import Function, calculated, numbers, of_each_number, seconds, vector
from log_cache.promql.histograms import histogram_quantile
from log_cache.promql.relabelling import label_join, label_replace
from log_cache.promql.rows import joined
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Columns, Labels, Numbers, Numeric, Value

FORMULAS: dict[str, Callable[[Numbers], Numbers]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "sgn": np.sign,
    "deg": lambda values: values * 180 / np.pi,
    "rad": lambda values: values * np.pi / 180,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "cos": np.cos,
    "cosh": np.cosh,
    "sin": np.sin,
    "sinh": np.sinh,
    "tan": np.tan,
    "tanh": np.tanh,
}
"""What each number becomes, by the name of the function."""


def absent(columns: Columns, labels: Labels) -> Columns:
    """Return 1, with these labels, at the steps where the vector is empty."""
    missing = ~np.atleast_2d(columns.present.any(axis=0))
    return joined([labels], np.ones(missing.shape), missing)


def _round(arguments: Sequence[Value], _: StepTimes) -> Value:
    """Round to the nearest multiple (of 1 if not said), halves up."""
    columns = vector(arguments[0])
    with np.errstate(all="ignore"):
        inverse = 1 / numbers(arguments[1]) if len(arguments) > 1 else np.float64(1)
        return calculated(columns, np.floor(columns.values * inverse + 0.5) / inverse)


def _clamp(arguments: Sequence[Value], _: StepTimes) -> Value:
    columns, least, most = vector(arguments[0]), numbers(arguments[1]), numbers(arguments[2])
    return calculated(columns, _greater(least, _lesser(most, columns.values)), ~(most < least))


def _clamp_min(arguments: Sequence[Value], _: StepTimes) -> Value:
    columns = vector(arguments[0])
    return calculated(columns, _greater(numbers(arguments[1]), columns.values))


def _clamp_max(arguments: Sequence[Value], _: StepTimes) -> Value:
    columns = vector(arguments[0])
    return calculated(columns, _lesser(numbers(arguments[1]), columns.values))


def _greater(one: Numbers, other: Numbers) -> Numbers:
    """Take the greater number; NaN if either is, but for nothing is greater than +Inf (Go's `math.Max`)."""
    return np.where(np.isposinf(one) | np.isposinf(other), np.inf, np.maximum(one, other))


def _lesser(one: Numbers, other: Numbers) -> Numbers:
    return -_greater(-one, -other)


def _sort(arguments: Sequence[Value], _: StepTimes) -> Value:
    return _sorted(vector(arguments[0]), 1)


def _sort_desc(arguments: Sequence[Value], _: StepTimes) -> Value:
    return _sorted(vector(arguments[0]), -1)


def _sorted(columns: Columns, sign: int) -> Columns:
    """Put the rows in order of their values, NaN last, if there is but one step; over a range there is no order."""
    if columns.values.shape[1] != 1:
        return columns
    order = np.argsort(sign * columns.values[:, 0], kind="stable")
    return Columns([columns.labels[row] for row in order.tolist()], columns.values[order], columns.present[order])


def _scalar(arguments: Sequence[Value], _: StepTimes) -> Value:
    """Return the one sample of a vector; NaN at steps where there is not exactly one."""
    columns = vector(arguments[0])
    alone = columns.present.sum(axis=0) == 1
    with np.errstate(all="ignore"):
        total = np.where(columns.present, columns.values, -0.0).sum(axis=0)
    return Numeric(np.where(alone, total, np.nan))


def _vector(arguments: Sequence[Value], _: StepTimes) -> Value:
    values = numbers(arguments[0])[np.newaxis]
    return Columns([()], values, np.ones(values.shape, np.bool_))


def _time(_: Sequence[Value], times: StepTimes) -> Value:
    return Numeric(seconds(times))


def _timestamp(arguments: Sequence[Value], times: StepTimes) -> Value:
    """Return the time of the step, which is that of everything calculated; only a selector's samples have their own."""
    columns = vector(arguments[0])
    return calculated(columns, np.broadcast_to(seconds(times), columns.values.shape))


def _pi(_: Sequence[Value], times: StepTimes) -> Value:
    return Numeric(np.full(len(times), np.pi))


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {name: of_each_number(formula) for name, formula in FORMULAS.items()}
    | dates.FUNCTIONS
    | {
        "round": _round,
        "clamp": _clamp,
        "clamp_min": _clamp_min,
        "clamp_max": _clamp_max,
        "sort": _sort,
        "sort_desc": _sort_desc,
        "scalar": _scalar,
        "vector": _vector,
        "time": _time,
        "timestamp": _timestamp,
        "pi": _pi,
        "histogram_quantile": histogram_quantile,
        "label_replace": label_replace,
        "label_join": label_join,
    }
)
"""Every function but `absent`, which must know the matchers of its selector, and those of ranges."""
