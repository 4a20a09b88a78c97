"""How long to wait before something that ended is started again. No clock, no I/O."""

from __future__ import annotations

FIRST_S = 0.1
LONGEST_S = 10.0
HEALTHY_S = 30.0
"""Whoever lived for so long was healthy, and begins anew with the shortest wait."""


class Backoff:
    """Doubles the wait after each short life."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def after(self, lived_s: float) -> float:
        """Say how long to wait after a life of `lived_s`."""
        if lived_s >= HEALTHY_S:
            self._next_s = FIRST_S
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, LONGEST_S)
        return wait_s
