"""What a measurement says: rows of the table, and the raw figures behind them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure of a path: what it is, what it should be, and what the original's was."""

    what: str
    unit: str
    budget: float | None = None
    more_is_better: bool = False
    original: str = ""

    def met_by(self, value: float) -> bool | None:
        """Say whether the budget is kept; None without a budget."""
        if self.budget is None:
            return None
        return value >= self.budget if self.more_is_better else value <= self.budget


@dataclass(frozen=True, slots=True)
class Run:
    """What one repeat came to: a value for each measure, and the raw figures."""

    values: Sequence[float]
    raw: Mapping[str, Any]
    problem: str = ""
    """Why the values mean little, if so: envelopes were lost, or the load was not what it should have been."""


@dataclass(slots=True)
class Row:
    """A line of the table: all repeats of one measure."""

    path: str
    measure: Measure
    values: list[float]
    problems: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        if self.problems:
            return self.problems[0]
        kept = self.measure.met_by(self.median)
        return {None: "", True: "kept", False: "missed"}[kept]

    def as_dict(self) -> dict[str, Any]:
        """Make the row ready for JSON."""
        return {
            "path": self.path,
            "what": self.measure.what,
            "unit": self.measure.unit,
            "values": self.values,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "budget": self.measure.budget,
            "more_is_better": self.measure.more_is_better,
            "original": self.measure.original,
            "verdict": self.verdict,
        }


def rows_of(path: str, measures: Sequence[Measure], runs: Sequence[Run]) -> list[Row]:
    """Turn the repeats of a path into rows."""
    problems = [run.problem for run in runs if run.problem]
    return [Row(path, measure, [run.values[i] for run in runs], problems) for i, measure in enumerate(measures)]
