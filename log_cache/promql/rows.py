"""What operators do with whole rows of columns: group them by label, take labels away, join those that became equal."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from log_cache.promql.values import NAME, Columns, Flags, Labels, Numbers, QueryError

MAX_CELLS = 10_000_000
"""Cells (rows × steps) that one operator may make of fewer: where the result can be larger than what went in."""

WINDOW_CELLS = 50_000
"""Cells that are worked on at a time, so that a calculation's passes over them stay in the processor's cache."""

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

Indices: TypeAlias = NDArray[np.intp]
Key = TypeVar("Key", bound=Hashable)


def only(labels: Labels, names: Collection[str]) -> Labels:
    """Keep the labels of these names."""
    return tuple(pair for pair in labels if pair[0] in names)


def without(labels: Labels, names: Collection[str]) -> Labels:
    """Keep the labels of all other names."""
    return tuple(pair for pair in labels if pair[0] not in names)


def nameless(labels: Labels) -> Labels:
    """Take the metric's name away: what was calculated is no longer that metric."""
    return tuple(pair for pair in labels if pair[0] != NAME)


def grouped(keys: Iterable[Key]) -> dict[Key, list[int]]:
    """Return the rows of each key, keys in order of appearance."""
    groups: dict[Key, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    return groups


def blocks(groups: Iterable[Sequence[int]]) -> Iterator[tuple[Indices, Indices]]:
    """Put groups of equal size side by side: yield (which groups, their rows: a line for each group).

    There are few sizes (the square root of twice the rows at most), so numpy does the work of all groups in few calls.
    """
    by_size: dict[int, list[int]] = {}
    listed = list(groups)
    for group, rows in enumerate(listed):
        by_size.setdefault(len(rows), []).append(group)
    for same_size in by_size.values():
        yield np.array(same_size, np.intp), np.array([listed[group] for group in same_size], np.intp)


def windows(rows: int, steps: int) -> Iterator[slice]:
    """Divide the steps so that this many rows of them are about `WINDOW_CELLS`."""
    width = max(1, WINDOW_CELLS // max(1, rows))
    for start in range(0, steps, width):
        yield slice(start, min(start + width, steps))


def joined(labels: Sequence[Labels], values: Numbers, present: Flags) -> Columns:
    """Make columns whose labels are unique and none of which is empty, in order of appearance.

    Rows with equal labels become one if no step has a sample of both; else the query fails, as Prometheus's does.
    """
    groups = grouped(labels)
    if len(groups) < len(labels):
        values, present = _merged(list(groups.values()), values, present)
        labels = list(groups)
    alive = present.any(axis=1)
    if alive.all():
        return Columns(labels, values, present)
    rows = np.flatnonzero(alive)
    return Columns([labels[row] for row in rows.tolist()], values[rows], present[rows])


def _merged(groups: Sequence[Sequence[int]], values: Numbers, present: Flags) -> tuple[Numbers, Flags]:
    firsts = [rows[0] for rows in groups]
    merged, seen = values[firsts], present[firsts]
    for group, (_, *others) in enumerate(groups):
        for row in others:
            if (seen[group] & present[row]).any():
                raise QueryError("execution", "vector cannot contain metrics with the same labelset")
            np.copyto(merged[group], values[row], where=present[row])
            seen[group] |= present[row]
    return merged, seen


def quoted(text: str) -> str:
    """Write text for a message, between quotes."""
    return orjson.dumps(text).decode()


def written(labels: Labels) -> str:
    """Write labels as a selector of them: `{name="value", ...}`."""
    return "{" + ", ".join(f"{name}={quoted(value)}" for name, value in labels) + "}"


def bounded(cells: int) -> None:
    """Refuse to make more than `MAX_CELLS`, in Prometheus's words."""
    if cells > MAX_CELLS:
        raise QueryError("execution", "query processing would load too many samples into memory in query execution")
