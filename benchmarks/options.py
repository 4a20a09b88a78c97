"""How long and how often things are measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Durations of all measurements; `quick` ones show that everything runs, and little more."""

    quick: bool
    seconds: float
    """Of a steady load, after the warm-up."""
    repeats: int

    @property
    def warmup_s(self) -> float:
        return 1.0 if self.quick else 3.0

    @property
    def trial_s(self) -> float:
        """Of one attempt at a rate."""
        return 2.0 if self.quick else 6.0

    @property
    def precision(self) -> float:
        """By how much of it a highest rate may be wrong."""
        return 0.5 if self.quick else 0.08

    @property
    def soak_s(self) -> float:
        return 10.0 if self.quick else 60.0

    @property
    def soak_look_s(self) -> float:
        """Time between two looks at memory."""
        return 2.0 if self.quick else 10.0
