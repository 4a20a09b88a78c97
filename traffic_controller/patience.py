"""How much of a client's talk is listened to. No I/O, no clock.

A client of a stream has pongs to send, a hundred bytes a second. One that floods us would have all clients wait: a
thousand pings take as long to answer as a thousand envelopes to convert.
"""

from __future__ import annotations

from dataclasses import dataclass

HEARD_BYTES = 4 << 10
"""As much at once: four milliseconds' work, if it is all pings."""

HEARD_EVERY_S = 0.25


@dataclass(slots=True)
class Patience:
    """Lets `HEARD_BYTES` through in each `HEARD_EVERY_S`; the rest waits here, as much as its owner goes on to read."""

    waiting: bytes = b""
    renewed_at: float = 0.0
    """When there will be more patience."""

    _left: int = HEARD_BYTES

    def hear(self, arrived: bytes, now: float) -> bytes:
        """Take in bytes; returns what may be listened to now, of what was waiting first."""
        if now >= self.renewed_at:
            self._left, self.renewed_at = HEARD_BYTES, now + HEARD_EVERY_S
        said = self.waiting + arrived
        heard, self.waiting = said[: self._left], said[self._left :]
        self._left -= len(heard)
        return heard
