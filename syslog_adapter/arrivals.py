"""When what waits has come. No clock."""

from __future__ import annotations

from collections import deque


class Arrivals:
    """Remembers when envelopes came, by how many had come in all; it is told which have gone."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque()

    def put(self, total: int, now: float) -> None:
        """Up to the `total`th have come."""
        self._marks.append((total, now))

    def forget(self, settled: int) -> None:
        """The first `settled` have gone."""
        while self._marks and self._marks[0][0] <= settled:
            self._marks.popleft()

    def oldest_s(self, now: float) -> float:
        """Say how long ago the oldest came that has not gone."""
        return now - self._marks[0][1] if self._marks else 0.0
