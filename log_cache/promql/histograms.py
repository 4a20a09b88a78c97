"""Quantiles from classic histograms: series of cumulative counts with their upper bounds in the label `le`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from log_cache.promql.arguments import numbers, vector
from log_cache.promql.rows import Indices, blocks, joined, windows, without
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import NAME, Columns, Flags, Labels, Numbers, Value

LE = "le"

_ROUNDING = 1e-12
"""Counts that are nearer to each other than this share of themselves are equal but for rounding."""


def histogram_quantile(arguments: Sequence[Value], _: StepTimes) -> Value:
    """Estimate the quantile of each histogram at each step from the buckets present there, as Prometheus does.

    NaN where the ratio is NaN, the bucket `+Inf` is missing, no other is there or nothing was observed.
    """
    ratios, columns = numbers(arguments[0]), vector(arguments[1])
    histograms, bounds, counts, present = _buckets(columns)
    steps = len(ratios)
    values, alive = np.empty((len(histograms), steps)), np.empty((len(histograms), steps), np.bool_)
    with np.errstate(all="ignore"):
        for members, rows in blocks(histograms.values()):
            for at in windows(rows.size, steps):
                there = present[rows, at]
                values[members, at] = _quantiles(ratios[at], bounds[rows], counts[rows, at], there)
                alive[members, at] = there.any(axis=1)
    return joined(list(histograms), values, alive)


def _buckets(columns: Columns) -> tuple[dict[Labels, list[int]], Numbers, Numbers, Flags]:
    """Return the rows of each histogram, by rising bounds; of every row the bound, and the counts and where they are.

    Buckets of one histogram and one bound, written differently, are one: their counts add up.
    """
    rows: dict[tuple[Labels, float], int] = {}
    counts, present = np.where(columns.present, columns.values, 0), columns.present.copy()
    for row, labels in enumerate(columns.labels):
        bound = _bound(dict(labels).get(LE, ""))
        if bound is None:
            continue
        first = rows.setdefault((without(labels, (LE, NAME)), bound), row)
        if first != row:
            counts[first] += counts[row]
            present[first] |= present[row]
    histograms: dict[Labels, list[int]] = {labels: [] for labels, _ in rows}
    bounds = np.zeros(len(columns.labels))
    for (labels, bound), row in sorted(rows.items(), key=lambda item: item[0][1]):
        histograms[labels].append(row)
        bounds[row] = bound
    return histograms, bounds, counts, present


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if np.isnan(bound) else bound


def _quantiles(ratios: Numbers, bounds: Numbers, counts: Numbers, present: Flags) -> Numbers:
    """Return the quantiles of histograms with equally many buckets: `counts` is histograms × buckets × steps."""
    usable = present[:, -1] & np.isposinf(bounds[:, -1:]) & (present.sum(axis=1) > 1)
    inside = np.full(usable.shape, np.nan)
    if usable.any():
        inside = np.where(usable, _interpolated(ratios, bounds, counts, present), np.nan)
    return np.where(ratios < 0, -np.inf, np.where(ratios > 1, np.inf, inside))


def _interpolated(ratios: Numbers, bounds: Numbers, counts: Numbers, present: Flags) -> Numbers:
    """Find the bucket in which the rank is reached, and where in it if its observations are spread evenly.

    A bucket that is absent is made equal to the one before it, so that it is never the one where a rank is reached.
    """
    uppers: Numbers = np.maximum.accumulate(np.where(present, bounds[:, :, np.newaxis], -np.inf), axis=1)
    rising = _rising(counts, present)
    rank = ratios * rising[:, -1]
    reached = (rising[:, :-1] >= rank[:, np.newaxis]) & present[:, :-1]
    infinite = ~reached.any(axis=1)
    bucket = reached.argmax(axis=1)
    lowest = bucket == present.argmax(axis=1)
    begins = np.where(lowest, 0, _at(uppers, bucket - 1))
    below = np.where(lowest, 0, _at(rising, bucket - 1))
    ends, reaches = _at(uppers, bucket), _at(rising, bucket)
    estimate = begins + (ends - begins) * ((rank - below) / (reaches - below))
    estimate = np.where(lowest & (ends <= 0), ends, estimate)
    estimate = np.where(infinite, uppers[:, -2], estimate)
    return np.where(np.isnan(ratios) | (rising[:, -1] == 0), np.nan, estimate)


def _rising(counts: Numbers, present: Flags) -> Numbers:
    """Repair counts that should never fall: put aside what only rounding made of them, then carry the highest on."""
    repaired = np.where(present, counts, -np.inf)
    previous = repaired[:, 0]
    for bucket in range(1, repaired.shape[1]):
        current = repaired[:, bucket]
        same = (np.abs(current - previous) / current <= _ROUNDING) | ~present[:, bucket]
        repaired[:, bucket] = previous = np.where(same, previous, current)
    rising: Numbers = np.fmax.accumulate(repaired, axis=1)
    return rising


def _at(block: Numbers, index: Indices) -> Numbers:
    return np.take_along_axis(block, np.maximum(index, 0)[:, np.newaxis], axis=1)[:, 0]
