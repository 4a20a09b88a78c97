"""When what waits has come. No clock."""

from __future__ import annotations

from collections import deque
from itertools import islice

MOST_MARKS = 1024  # even: when there are so many, each two become one
_STEP_S = 0.001


class Arrivals:
    """Remembers when envelopes came, by how many had come in all; it is told which have gone.

    The longer the time in which those came that wait, the less exactly it knows: about to a five-hundredth of it.
    """

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque()
        """Up to how many had come, and when the first of them did."""
        self._step_s = _STEP_S

    def put(self, total: int, now: float) -> None:
        """Up to the `total`th have come."""
        marks = self._marks
        if marks and now - marks[-1][1] < self._step_s:
            marks[-1] = total, marks[-1][1]
            return
        if len(marks) >= MOST_MARKS:
            pairs = zip(islice(marks, 0, None, 2), islice(marks, 1, None, 2), strict=True)
            self._marks = marks = deque((last, came) for (_, came), (last, _) in pairs)
            self._step_s = max(2 * self._step_s, 2 * (now - marks[0][1]) / MOST_MARKS)
        marks.append((total, now))

    def forget(self, settled: int) -> None:
        """The first `settled` have gone."""
        while self._marks and self._marks[0][0] <= settled:
            self._marks.popleft()
        if not self._marks:
            self._step_s = _STEP_S

    def oldest_s(self, now: float) -> float:
        """Say how long ago the oldest came that has not gone."""
        return now - self._marks[0][1] if self._marks else 0.0
