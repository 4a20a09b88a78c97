"""How far a load generator has got with a run, and how far behind its schedule it is."""

from __future__ import annotations

from benchmarks.worker import Answer


class Pace:
    """What one sender tells of itself; the one that sends keeps it, and another thread may read it."""

    def __init__(self) -> None:
        self.sent = 0
        self.is_stopped = False
        self._is_running = False
        self._late_s = 0.0
        self._most_late_s = 0.0
        self._error = ""

    def begin(self) -> None:
        """A run starts."""
        self._is_running, self.is_stopped, self._most_late_s = True, False, 0.0

    def is_late_by(self, late_s: float) -> None:
        """What is sent next is so late; less than nothing is on time."""
        self._late_s = max(0.0, late_s)
        self._most_late_s = max(self._most_late_s, self._late_s)

    def end(self) -> None:
        """The run is over."""
        self._is_running = False

    def fail(self, error: str) -> None:
        """The run is over, and why; the first reason stays."""
        self._error = self._error or error
        self._is_running = False

    def progress(self) -> Answer:
        """Answer the command of this name."""
        return {
            "sent": self.sent,
            "running": self._is_running,
            "late_s": round(self._late_s, 4),
            "most_late_s": round(self._most_late_s, 4),
            "error": self._error,
        }

    def stop(self) -> Answer:
        """Send no more of the present run."""
        self.is_stopped = True
        return {}
