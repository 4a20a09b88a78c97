"""What the oracle reckons with: raw series, vectors and windows, all of them plain dicts and lists."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs sorted by name, none of them empty."""

Vector: TypeAlias = dict[Labels, float]
Point: TypeAlias = tuple[int, float]
"""A time in milliseconds and a value."""

NAME = "__name__"
NAN = math.nan


class Failure(Exception):
    """The query has no answer, only an error."""


@dataclass(frozen=True, slots=True)
class Raw:
    """One series as it was recorded: labels with `__name__`, points in the order of their times.

    Several may have the same time, as they have that are cut to seconds: a range has all of them, an instant the last.
    """

    labels: Mapping[str, str]
    points: list[Point]


@dataclass(frozen=True, slots=True)
class Window:
    """The points of one series between two moments, both included, as seen at the moment `now_ms`."""

    start_ms: int
    end_ms: int
    now_ms: int
    points: list[Point]

    @property
    def values(self) -> list[float]:
        return [value for _, value in self.points]


def labels_from(pairs: Mapping[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def without(labels: Labels, names: Iterable[str]) -> Labels:
    unwanted = set(names)
    return tuple(pair for pair in labels if pair[0] not in unwanted)


def only(labels: Labels, names: Iterable[str]) -> Labels:
    wanted = set(names)
    return tuple(pair for pair in labels if pair[0] in wanted)


def nameless(labels: Labels) -> Labels:
    return without(labels, [NAME])


def gathered(samples: Iterable[tuple[Labels, float]]) -> Vector:
    """Make a vector, in which no two samples may have the same labels."""
    vector: Vector = {}
    for labels, value in samples:
        if labels in vector:
            raise Failure("vector cannot contain metrics with the same labelset")
        vector[labels] = value
    return vector


def mapped(vector: Vector, change: Callable[[float], float]) -> Vector:
    """Change every value; what comes of it is another metric, so it has no name."""
    return gathered((nameless(labels), change(value)) for labels, value in vector.items())


def total(values: Iterable[float]) -> float:
    """Add up, exactly where that can be done."""
    numbers = list(values)
    try:
        return math.fsum(numbers)
    except (ValueError, OverflowError):
        return sum(numbers)


def mean(values: list[float]) -> float:
    if all(map(math.isfinite, values)):
        return float(sum(map(Fraction, values)) / len(values))
    return sum(values)


def variance(values: list[float]) -> float:
    """The population's variance."""
    if not all(map(math.isfinite, values)):
        return NAN
    middle = mean(values)
    return mean([(value - middle) ** 2 for value in values])


def least(values: list[float]) -> float:
    """The smallest number; NaN only if there is nothing else."""
    return min((value for value in values if not math.isnan(value)), default=NAN)


def greatest(values: list[float]) -> float:
    """The greatest number; NaN only if there is nothing else."""
    return max((value for value in values if not math.isnan(value)), default=NAN)


def quantile(share: float, values: list[float]) -> float:
    """Interpolate between the two values nearest to the rank; NaN counts as the smallest value."""
    if not values or math.isnan(share):
        return NAN
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    ranked = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = share * (len(ranked) - 1)
    lower = math.floor(rank)
    upper = min(len(ranked) - 1, lower + 1)
    weight = rank - lower
    return ranked[lower] * (1 - weight) + ranked[upper] * weight
