"""Confirm arrivals in the order in which they came, each once it is safe. No I/O, no clock.

A Doppler is told how many messages of its stream are dealt with, not which: to confirm a later one first would be to
confirm the earlier one that is still in our hands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plumbing.subscription import Incoming


@dataclass(slots=True, eq=False)
class _Expected:
    arrivals: Sequence[Incoming]
    safe: bool = False


class Confirmations:
    """Keeps arrivals until they, and all before them, are safe, and hands them to `confirm` then."""

    def __init__(self, confirm: Callable[[Sequence[Incoming]], None]) -> None:
        self._confirm = confirm
        self._expected: deque[_Expected] = deque()

    def expect(self, arrivals: Sequence[Incoming]) -> Callable[[], None]:
        """Put arrivals at the end of the row; call what this returns when they are safe."""
        expected = _Expected(arrivals)
        self._expected.append(expected)

        def safe() -> None:
            expected.safe = True
            self._confirm_the_first()

        return safe

    def _confirm_the_first(self) -> None:
        while self._expected and self._expected[0].safe:
            self._confirm(self._expected.popleft().arrivals)


def confirm_all(arrivals: Sequence[Incoming]) -> None:
    """Confirm each; on the island."""
    for arrival in arrivals:
        arrival.confirm()
