"""The samples that a query looks at: the newest of each series at a moment, and all of them in a range before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from log_cache.promql.budget import Budget
from log_cache.promql.plan import LOOK_BACK_MS
from log_cache.promql.rows import joined, nameless
from log_cache.promql.values import Columns, Flags, Labels, Numbers, Series, Times

_NUMBERS_OF_A_RANGE = 4
"""A range is paid for as so many cells, for it takes their memory: its bounds, and what is made of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """A range vector at every step at once: of series i at step j, `counts[i, j]` samples from `firsts[i, j]` on.

    `times` (milliseconds) and `values` hold the samples of all series, one series behind the other. A range reaches
    from `starts[j]` to `ends[j]`, both inclusive; `steps[j]` is when it is asked for (an offset lies between).
    """

    labels: Sequence[Labels]
    times: Times
    values: Numbers
    firsts: Times
    counts: Times
    starts: Times
    ends: Times
    steps: Times


def within(series: Series, start_ms: int, end_ms: int) -> Series:
    """The samples from `start_ms` to `end_ms`, both inclusive.

    Times are cut to seconds, so several may be equal (in Prometheus none are): a range has all of them, as it has in
    the original; an instant the last.
    """
    first, end = np.searchsorted(series.times, (start_ms, end_ms + 1))
    return Series(series.labels, series.times[first:end], series.values[first:end])


def newest(series: Sequence[Series], moments: Times, budget: Budget, *, stamps: bool = False) -> Columns:
    """Take of each series the newest sample at each moment that is no older than the look-back.

    With `stamps` the value is the sample's time in seconds, and the metric is no longer the one it was.
    """
    budget.spend(len(series) * len(moments))
    values, present = np.zeros((len(series), len(moments))), np.zeros((len(series), len(moments)), np.bool_)
    for row, one in enumerate(series):
        budget.spend(len(one.times))
        if not len(one.times):
            continue
        at = np.searchsorted(one.times, moments, side="right") - 1
        times = one.times[at]
        present[row] = (at >= 0) & (times >= moments - LOOK_BACK_MS)
        values[row] = times / 1000 if stamps else one.values[at]
    labels = [nameless(one.labels) if stamps else one.labels for one in series]
    return joined(labels, values, present)


def ranged(series: Sequence[Series], moments: Times, range_ms: int, steps: Times, budget: Budget) -> Ranges:
    """Find of each series the samples in the range before each moment; series without any are left out."""
    budget.spend(len(series) * len(moments) * _NUMBERS_OF_A_RANGE)
    starts = moments - range_ms
    kept: list[Series] = []
    bounds: list[tuple[Times, Times]] = []
    offset = 0
    for one in series:
        budget.spend(len(one.times))
        first, end = np.searchsorted(one.times, starts), np.searchsorted(one.times, moments, side="right")
        if (end > first).any():
            kept.append(one)
            bounds.append((first + offset, end - first))
            offset += len(one.times)
    shape = (len(kept), len(moments))
    return Ranges(
        labels=[one.labels for one in kept],
        times=np.concatenate([np.zeros(0, np.int64), *(one.times for one in kept)]),
        values=np.concatenate([np.zeros(0), *(one.values for one in kept)]),
        firsts=np.array([first for first, _ in bounds], np.int64).reshape(shape),
        counts=np.array([count for _, count in bounds], np.int64).reshape(shape),
        starts=starts,
        ends=moments,
        steps=steps,
    )


def series_of(columns: Columns, times: Times) -> list[Series]:
    """Read what an inner query made as samples, taken at the times of its steps."""
    rows: Sequence[tuple[Labels, Numbers, Flags]] = list(
        zip(columns.labels, columns.values, columns.present, strict=True)
    )
    return [Series(labels, times[present], values[present]) for labels, values, present in rows]
