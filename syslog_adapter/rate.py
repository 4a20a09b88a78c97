"""How many messages a drain may be sent: the option `rate-limit` of its URL. No clock."""

from __future__ import annotations


class Allowance:
    """Lets `rate` messages a second through, and no more than a second's worth at once (at least one)."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._left = self._most
        self._at = now

    def take(self, wanted: int, now: float) -> int:
        """Say how many of `wanted` may go now."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        allowed = min(wanted, int(self._left))
        self._left -= allowed
        return allowed
