"""What the person at the terminal wants, told by signals: the first asks to stop, the second insists."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import structlog
import trio

log = structlog.get_logger(__name__)

CUT_SHORT = 128  # the exit code of whoever was made to end, plus the number of the signal


class Will:
    """Set by signals, obeyed by whoever runs in its scopes."""

    def __init__(self) -> None:
        self.stop = trio.Event()
        self.starting = trio.CancelScope()
        """Cancelled by the first signal: what has not begun to work has nothing to drain."""
        self.running = trio.CancelScope()
        """Cancelled by the second."""
        self.cut_by = 0

    def exit_code(self, code: int) -> int:
        """Return `code`, unless everything was cut short."""
        return CUT_SHORT + self.cut_by if self.cut_by else code

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Take the signals of this process for the time of the block."""
        token = trio.lowlevel.current_trio_token()

        def hear(number: int, _: FrameType | None) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(self.on_signal, number)

        ours = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` asks to outlive the terminal
            ours.append(signal.SIGHUP)
        before = {number: signal.signal(number, hear) for number in ours}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_signal(self, number: int) -> None:
        """Ask first, then insist."""
        name = signal.Signals(number).name
        if not self.stop.is_set():
            log.info("stopping", reason=name)
            self.stop.set()
            self.starting.cancel()
        elif not self.cut_by:
            log.warning("cut_short", reason=name)
            self.cut_by = number
            self.running.cancel()
