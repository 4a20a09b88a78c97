"""Keep to a number of lines a second. No clock: the time is an argument."""

from __future__ import annotations

GROUP_S = 0.02
"""Lines leave in groups worth this long: short enough to look steady, long enough to make batches."""


class Pace:
    """Says how long to wait so that no more than `rate` lines leave in a second; a rate of 0 is no limit."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._due = 0.0

    def group(self, most: int) -> int:
        """Return how many lines should leave together, `most` at most."""
        return max(1, min(most, int(self._rate * GROUP_S))) if self._rate else most

    def wait_s(self, count: int, now: float) -> float:
        """Return how long to wait before the next `count` lines leave; time not used is not saved up."""
        if not self._rate:
            return 0.0
        wait_s = max(0.0, self._due - now)
        self._due = max(self._due, now) + count / self._rate
        return wait_s
