"""The functions of ranges: rates, and what can be said of the samples of a range taken together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from log_cache.promql.arguments import numbers
from log_cache.promql.budget import Budget
from log_cache.promql.folds import fold, moments
from log_cache.promql.ranges import Ranges
from log_cache.promql.rates import (
    changes,
    delta,
    idelta,
    increase,
    irate,
    rate,
    resets,
    seconds_between,
    seconds_sampled,
)
from log_cache.promql.rows import joined, nameless
from log_cache.promql.values import Columns, Flags, Numbers, Numeric, Value

Formula: TypeAlias = Callable[[Ranges], Numbers]


def over_time(name: str, arguments: Sequence[Value | Ranges], budget: Budget) -> Columns:
    """Apply the function of this name; where a range has not the samples for it, there is no result."""
    function = OVER_TIME[name]
    (ranges,) = (argument for argument in arguments if isinstance(argument, Ranges))
    parameters = [numbers(argument) for argument in arguments if isinstance(argument, Numeric)]
    budget.spend(len(ranges.values) * function.weight)
    values = function.formula(ranges, budget, *parameters)
    labels = ranges.labels if function.keeps_name else [nameless(labels) for labels in ranges.labels]
    return joined(labels, values, function.presence(ranges))


@dataclass(frozen=True, slots=True)
class OverTime:
    """One function: how its numbers are made, and of which ranges."""

    formula: Callable[..., Numbers]
    presence: Callable[[Ranges], Flags]
    keeps_name: bool = False
    weight: int = 1
    """Numbers that are kept for each sample meanwhile: they are paid for."""


def _simple(formula: Formula, *, keeps_name: bool = False, weight: int = 1) -> OverTime:
    return OverTime(lambda ranges, _: formula(ranges), _of_any, keeps_name, weight)


def _of_any(ranges: Ranges) -> Flags:
    """Where a range has samples at all."""
    return ranges.counts > 0


def _of_a_while(ranges: Ranges) -> Flags:
    """Where the samples of a range are not all of one time: only then did anything grow, and is there a line."""
    return seconds_sampled(ranges) > 0


def _of_two_moments(ranges: Ranges) -> Flags:
    """Where the last two samples of a range are of different times."""
    return seconds_between(ranges) > 0


def _sum(ranges: Ranges) -> Numbers:
    return fold(np.add, ranges.values, 0.0, ranges.firsts, ranges.counts)


def _avg(ranges: Ranges) -> Numbers:
    """Divide the sum by the count, or first divide where the sum of finite numbers is none itself."""
    mean: Numbers = _sum(ranges) / np.maximum(ranges.counts, 1)
    if np.isfinite(mean).all():
        return mean
    means = fold(_mean, np.stack((np.ones_like(ranges.values), ranges.values)), 0.0, ranges.firsts, ranges.counts)[1]
    return np.where(np.isfinite(mean), mean, means)


def _mean(left: Numbers, right: Numbers) -> Numbers:
    count = left[0] + right[0]
    weights = left[0] / np.maximum(count, 1), right[0] / np.maximum(count, 1)
    return np.stack((count, np.where(left[0] > 0, left[1] * weights[0], 0) + right[1] * weights[1]))


def _count(ranges: Ranges) -> Numbers:
    return ranges.counts.astype(np.float64)


def _present(ranges: Ranges) -> Numbers:
    return np.ones(ranges.counts.shape)


def _last(ranges: Ranges) -> Numbers:
    last: Numbers = ranges.values[ranges.firsts + ranges.counts - 1]
    return last


def _first(ranges: Ranges) -> Numbers:
    first: Numbers = ranges.values[np.minimum(ranges.firsts, len(ranges.values) - 1)]
    return first


def _extreme(pick: Callable[[Numbers, Numbers], Numbers], ranges: Ranges) -> Numbers:
    """Take the least or the greatest that is not NaN."""
    return fold(pick, ranges.values, np.nan, ranges.firsts, ranges.counts)


def _stdvar(ranges: Ranges) -> Numbers:
    count, _, _, squares, _ = moments(ranges.values, ranges.values, ranges.firsts, ranges.counts)
    variance: Numbers = squares / np.maximum(count, 1)
    return variance


def _stddev(ranges: Ranges) -> Numbers:
    deviation: Numbers = np.sqrt(_stdvar(ranges))
    return deviation


def _deriv(ranges: Ranges) -> Numbers:
    return _line(ranges)[0]


def _predict_linear(ranges: Ranges, _: Budget, seconds: Numbers) -> Numbers:
    """Where the line through the samples will be, so many seconds from now."""
    slope, now = _line(ranges)
    return slope * seconds + now


def _line(ranges: Ranges) -> tuple[Numbers, Numbers]:
    """Fit a line by least squares: its slope per second, and its value at the step."""
    origin = ranges.times[0] if len(ranges.times) else 0
    x = (ranges.times - origin) / 1000
    _, x_mean, y_mean, xx, xy = moments(x, ranges.values, ranges.firsts, ranges.counts)
    slope = xy / xx
    return slope, y_mean + slope * ((ranges.steps - origin) / 1000 - x_mean)


def _quantile(ranges: Ranges, budget: Budget, ratios: Numbers) -> Numbers:
    """Interpolate between the samples next to the rank; NaN counts as the least of numbers.

    Ranges with equally many samples are sorted together, a line each.
    """
    budget.spend(int(ranges.counts.sum()))
    results = np.full(ranges.counts.shape, np.nan)
    ratio = np.broadcast_to(ratios, results.shape)
    for count in np.unique(ranges.counts[ranges.counts > 0]).tolist():
        rows, steps = np.nonzero(ranges.counts == count)
        width = max(1, _BLOCK // count)
        for start in range(0, len(rows), width):
            budget.check()
            some = rows[start : start + width], steps[start : start + width]
            samples = ranges.values[ranges.firsts[some][:, np.newaxis] + np.arange(count)]
            results[some] = _interpolated(np.sort(samples, axis=1), ratio[some])
    return results


_BLOCK = 1 << 20
"""Samples that are sorted at a time."""


def _interpolated(ascending: Numbers, ratios: Numbers) -> Numbers:
    lines, count = ascending.shape
    inside = (ratios >= 0) & (ratios <= 1)
    rank = np.where(inside, ratios, 0) * (count - 1)
    lower = np.floor(rank)
    weight = rank - lower
    last_are_first = np.isnan(ascending).sum(axis=1)  # NaN stands behind all others here, and counts as the least
    below, above = (
        ascending[np.arange(lines), index.astype(np.int64) - last_are_first]
        for index in (lower, np.minimum(lower + 1, count - 1))
    )
    outside = np.where(ratios < 0, -np.inf, np.where(ratios > 1, np.inf, np.nan))
    return np.where(inside, below * (1 - weight) + above * weight, outside)


_MOMENTS = 10
"""Five of one length of blocks, and five of the next."""

OVER_TIME: Mapping[str, OverTime] = {
    "rate": OverTime(lambda ranges, _: rate(ranges), _of_a_while),
    "increase": OverTime(lambda ranges, _: increase(ranges), _of_a_while),
    "delta": OverTime(lambda ranges, _: delta(ranges), _of_a_while),
    "irate": OverTime(lambda ranges, _: irate(ranges), _of_two_moments),
    "idelta": OverTime(lambda ranges, _: idelta(ranges), _of_two_moments),
    "changes": _simple(changes),
    "resets": _simple(resets),
    "deriv": OverTime(lambda ranges, _: _deriv(ranges), _of_a_while, weight=_MOMENTS),
    "predict_linear": OverTime(_predict_linear, _of_a_while, weight=_MOMENTS),
    "sum_over_time": _simple(_sum),
    "avg_over_time": _simple(_avg),
    "min_over_time": _simple(partial(_extreme, np.fmin)),
    "max_over_time": _simple(partial(_extreme, np.fmax)),
    "count_over_time": _simple(_count),
    "present_over_time": _simple(_present),
    "first_over_time": _simple(_first, keeps_name=True),
    "last_over_time": _simple(_last, keeps_name=True),
    "stddev_over_time": _simple(_stddev, weight=_MOMENTS),
    "stdvar_over_time": _simple(_stdvar, weight=_MOMENTS),
    "quantile_over_time": OverTime(_quantile, _of_any),
}
"""The functions that take a range, by name."""
