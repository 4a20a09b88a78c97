"""The connection under an HTTP exchange, which the test closes."""

from __future__ import annotations


class FakeConnection:
    """Remembers how long it was asked to last."""

    def __init__(self) -> None:
        self.is_open = True
        self.seconds = 0.0

    def cut(self) -> None:
        self.is_open = False

    def lasts(self, seconds: float) -> None:
        self.seconds = seconds
