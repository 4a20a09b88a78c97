"""What load generators have in common: how far a run has got, how late it is, and that it may be stopped."""

from __future__ import annotations

from benchmarks.worker import Answer


class Paced:
    """How far a sender has got; whichever thread sends keeps it, and another answers commands from it."""

    def __init__(self) -> None:
        self.sent = 0
        self._late_s = 0.0
        self._most_late_s = 0.0
        self._running = False
        self._stopped = False
        self._error = ""

    def progress(self) -> Answer:
        return {
            "sent": self.sent,
            "running": self._running,
            "late_s": round(self._late_s, 4),
            "most_late_s": round(self._most_late_s, 4),
            "error": self._error,
        }

    def stop(self) -> Answer:
        """Send no more of the present run."""
        self._stopped = True
        return {}

    def _begun(self) -> None:
        self._running, self._stopped, self._most_late_s = True, False, 0.0

    def _late_by(self, late_s: float) -> None:
        """Note how late the next sending is; what is early is not late."""
        self._late_s = max(0.0, late_s)
        self._most_late_s = max(self._most_late_s, self._late_s)

    def _ended(self) -> None:
        self._running = False

    def _failed(self, error: str) -> None:
        """End, and say why; the first reason stays."""
        self._error = self._error or error
        self._ended()
