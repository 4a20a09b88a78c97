"""Aggregation operators: many series become one for each group of labels, or the few that stand out in it.

Every function below reduces a block: groups × series of each × steps, all groups of one size (`rows.blocks`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from envelope.numbers_as_text import general, shortest
from log_cache.promql.rows import LABEL_NAME, Indices, blocks, bounded, grouped, joined, only, quoted, windows, without
from log_cache.promql.values import NAME, Columns, Flags, Labels, Numbers, Numeric, QueryError, Text, labels_of

Parameter: TypeAlias = Numeric | Text | None
Grouping: TypeAlias = Callable[[Labels], Labels]
Reduction: TypeAlias = Callable[[Numbers, Flags], Numbers]

_MAX_COUNT = 2.0**63


def aggregate(
    op: str, columns: Columns, *, by: Sequence[str] | None, without: Sequence[str] | None, parameter: Parameter
) -> Columns:
    """Aggregate at every step what is present there; at most one of `by` and `without` is given.

    `op` is PromQL's name of the operator; `parameter` is what stands before the vector (of `topk`, `quantile`, …).
    Of equal samples `topk` and `bottomk` take those of earlier rows; for a single step their rows come in order.
    """
    grouping = _grouping(by, without)
    with np.errstate(all="ignore"):
        match op, parameter:
            case (("topk" | "bottomk"), Numeric(sizes)):
                return _outstanding(columns, grouping, sizes, largest=op == "topk")
            case "quantile", Numeric(ratios):
                return _quantiles(columns, grouping, ratios)
            case "count_values", Text(name):
                if not LABEL_NAME.fullmatch(name):
                    raise QueryError("execution", f"invalid label name {quoted(name)}")
                return _count_values(columns, _grouping((*(by or ()), name), without), name)
            case _:
                return _reduced(columns, grouping, REDUCTIONS[op])


def _grouping(by: Sequence[str] | None, excluded: Sequence[str] | None) -> Grouping:
    """Return what makes of a series' labels those of its group."""
    if excluded is not None:
        dropped = frozenset((*excluded, NAME))
        return lambda labels: without(labels, dropped)
    kept = frozenset(by or ())
    return lambda labels: only(labels, kept)


def _reduced(columns: Columns, grouping: Grouping, reduction: Reduction) -> Columns:
    return _each_window(columns, grouping, lambda values, present, _: reduction(values, present))


def _quantiles(columns: Columns, grouping: Grouping, ratios: Numbers) -> Columns:
    return _each_window(columns, grouping, lambda values, present, at: _quantile(values, present, ratios[at]))


def _each_window(
    columns: Columns, grouping: Grouping, reduction: Callable[[Numbers, Flags, slice], Numbers]
) -> Columns:
    groups = grouped(map(grouping, columns.labels))
    steps = columns.values.shape[1]
    values, present = np.empty((len(groups), steps)), np.empty((len(groups), steps), np.bool_)
    for members, rows in blocks(groups.values()):
        for at in windows(rows.size, steps):
            block, there = columns.values[rows, at], columns.present[rows, at]
            values[members, at] = reduction(block, there, at)
            present[members, at] = there.any(axis=1)
    return joined(list(groups), values, present)


def _sum(values: Numbers, present: Flags) -> Numbers:
    """Add in the order of the rows and put back what rounding took on the way, as Prometheus does (Neumaier's sum)."""
    terms = np.where(present, values, -0.0)
    running = np.add.accumulate(terms, axis=1)
    before, after, added = running[:, :-1], running[:, 1:], terms[:, 1:]
    gained = after - before
    lost = (before - (after - gained)) + (added - gained)
    total: Numbers = running[:, -1]
    return np.where(np.isfinite(total), total + lost.sum(axis=1), total)


def _avg(values: Numbers, present: Flags) -> Numbers:
    """Divide the sum by the count, or first divide where the sum of finite numbers is none itself."""
    count = np.maximum(_count(values, present), 1)
    mean: Numbers = _sum(values, present) / count
    finite = np.isfinite(mean)
    if finite.all():
        return mean
    return np.where(finite, mean, _sum(values / count[:, np.newaxis], present))


def _count(_: Numbers, present: Flags) -> Numbers:
    count: Numbers = present.sum(axis=1, dtype=np.float64)
    return count


def _group(_: Numbers, present: Flags) -> Numbers:
    return np.ones((present.shape[0], present.shape[2]))


def _min(values: Numbers, present: Flags) -> Numbers:
    """Take the least that is not NaN."""
    least: Numbers = np.fmin.reduce(np.where(present, values, np.nan), axis=1)
    return least


def _max(values: Numbers, present: Flags) -> Numbers:
    """Take the greatest that is not NaN."""
    greatest: Numbers = np.fmax.reduce(np.where(present, values, np.nan), axis=1)
    return greatest


def _stdvar(values: Numbers, present: Flags) -> Numbers:
    """Return the variance of all there is, exactly 0 for equal numbers, NaN if one is not finite."""
    first = np.take_along_axis(values, present.argmax(axis=1, keepdims=True), axis=1)
    shifted = values - first
    distance = shifted - _avg(shifted, present)[:, np.newaxis]
    return _avg(distance * distance, present)


def _stddev(values: Numbers, present: Flags) -> Numbers:
    deviation: Numbers = np.sqrt(_stdvar(values, present))
    return deviation


REDUCTIONS: dict[str, Reduction] = {
    "sum": _sum,
    "avg": _avg,
    "count": _count,
    "group": _group,
    "min": _min,
    "max": _max,
    "stdvar": _stdvar,
    "stddev": _stddev,
}
"""The operators without a parameter."""


def _quantile(values: Numbers, present: Flags, ratios: Numbers) -> Numbers:
    """Interpolate between the two samples next to the rank; NaN counts as the least of numbers."""
    falling = np.sort(np.where(present, -values, -np.inf), axis=1)  # what is absent comes first, NaN last
    ascending = -falling[:, ::-1]
    last = _count(values, present) - 1
    inside = (ratios >= 0) & (ratios <= 1)
    rank = np.where(inside, ratios, 0) * np.maximum(last, 0)
    lower = np.floor(rank)
    weight = rank - lower
    below, above = (_at(ascending, index) for index in (lower, np.minimum(last, lower + 1)))
    outside = np.where(ratios < 0, -np.inf, np.where(ratios > 1, np.inf, np.nan))
    return np.where(inside, below * (1 - weight) + above * weight, outside)


def _at(block: Numbers, index: Numbers) -> Numbers:
    wanted = np.maximum(index, 0).astype(np.intp)[:, np.newaxis]
    return np.take_along_axis(block, wanted, axis=1)[:, 0]


def _outstanding(columns: Columns, grouping: Grouping, sizes: Numbers, *, largest: bool) -> Columns:
    """Keep at every step the largest (or smallest) samples of each group, under their own labels; NaN is the last."""
    for size in sizes[~((sizes >= -_MAX_COUNT) & (sizes < _MAX_COUNT))]:
        raise QueryError("execution", f"Scalar value {general(float(size))} overflows int64")
    groups = list(grouped(map(grouping, columns.labels)).values())
    ranks = np.empty(columns.values.shape, np.intp)
    for _, rows in blocks(groups):
        for at in windows(rows.size, len(sizes)):
            block = columns.values[rows, at]
            ranks[rows, at] = _ranks(-block if largest else block, columns.present[rows, at])
    present = columns.present & (ranks < np.trunc(sizes))
    if len(sizes) > 1:
        return joined(columns.labels, columns.values, present)
    order = [row for rows in groups for row in sorted(rows, key=lambda row: int(ranks[row, 0]))]
    return joined([columns.labels[row] for row in order], columns.values[order], present[order])


def _ranks(values: Numbers, present: Flags) -> Indices:
    """Number the samples of each group in ascending order: NaN after all others, what is absent after that."""
    order: Indices = np.lexsort((values, ~present), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(values.shape[1])[:, np.newaxis], axis=1)
    return ranks


def _count_values(columns: Columns, grouping: Grouping, name: str) -> Columns:
    """Count the samples of each value, written into the label `name`. As many series as values: `MAX_CELLS` at most."""
    groups: dict[Labels, int] = {}
    cells = [np.zeros(0, np.intp)]
    steps = columns.values.shape[1]
    for labels, values, present in zip(columns.labels, columns.values, columns.present, strict=True):
        (at,) = np.nonzero(present)
        bits = values[at].view(np.int64)  # by which NaN is NaN and -0 is not 0
        distinct, which = np.unique(bits, return_inverse=True)
        texts = map(shortest, distinct.view(np.float64).tolist())
        keys = [grouping(labels_of({**dict(labels), name: text})) for text in texts]
        members = np.array([groups.setdefault(key, len(groups)) for key in keys], np.intp)
        bounded(len(groups) * steps)
        cells.append(members[which] * steps + at)
    counts = np.bincount(np.concatenate(cells), minlength=len(groups) * steps).reshape(-1, steps)
    return joined(list(groups), counts.astype(np.float64), counts > 0)
