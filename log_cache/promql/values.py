"""The values of PromQL: series of samples that go in, columns of numbers on the way, results that come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of name and value, sorted by name, none with an empty value: hashable, and equal when the same."""

Numbers: TypeAlias = NDArray[np.float64]
Times: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

NAME = "__name__"


class QueryError(Exception):
    """A query that is not answered: `kind` is one of Prometheus's error types."""

    def __init__(self, kind: Literal["bad_data", "execution", "timeout"], message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The raw samples of one metric of one source: `labels` with `__name__`, times in milliseconds, ascending."""

    labels: Labels
    times: Times
    values: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """An instant vector at every step at once: row i is the series `labels[i]`, column j the step j.

    `present` says where there is a sample; `values` is any number elsewhere (NaN is a value like others).
    """

    labels: Sequence[Labels]
    values: Numbers
    present: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Numeric:
    """A scalar at every step."""

    values: Numbers


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str


Value: TypeAlias = Columns | Numeric | Text


class Sample(NamedTuple):
    """One number of one series at one time in seconds."""

    labels: Labels
    time_s: float
    value: float


class Points(Sequence[tuple[float, float]]):
    """Pairs (time_s, value), made when they are looked at: a result may have millions."""

    __slots__ = ("_times_s", "_values")

    def __init__(self, times_s: Numbers, values: Numbers) -> None:
        self._times_s = times_s
        self._values = values

    def __len__(self) -> int:
        return len(self._times_s)

    @overload
    def __getitem__(self, place: int) -> tuple[float, float]: ...
    @overload
    def __getitem__(self, place: slice) -> Points: ...
    def __getitem__(self, place: int | slice) -> tuple[float, float] | Points:
        if isinstance(place, slice):
            return Points(self._times_s[place], self._values[place])
        return float(self._times_s[place]), float(self._values[place])

    def __iter__(self) -> Iterator[tuple[float, float]]:
        return zip(self._times_s.tolist(), self._values.tolist(), strict=True)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # like any list

    def __repr__(self) -> str:
        return repr(list(self))


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The answer to a query, as Prometheus has it.

    `data`: of "scalar" and "string" a pair (time_s, value); of "vector" a list of `Sample`; of "matrix" a list of
    pairs (labels, points), sorted by labels, whose points are a sequence of pairs (time_s, value).
    """

    kind: Literal["scalar", "vector", "matrix", "string"]
    data: Any


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """Make labels of any mapping; a label with an empty value is one that is not there."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))
