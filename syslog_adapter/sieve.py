"""What a drain wants of what comes: by kind, by pattern, and as much as its rate allows. No clock."""

from __future__ import annotations

import math

from envelope import kernel
from syslog_adapter.cutting import cut
from syslog_adapter.drain_url import DrainUrl
from syslog_adapter.patterns import Patterns
from syslog_adapter.rate import Allowance


class Sieve:
    """What the URL of a drain asks for. The rate counts lines, before any are joined. Hot path."""

    def __init__(self, url: DrainUrl, now: float) -> None:
        options = url.options
        self._kinds = url.kinds
        self._patterns = Patterns.of(options.include, options.exclude)
        self._allowance = Allowance(options.rate_limit, now) if math.isfinite(options.rate_limit) else None

    def sift(self, batch: bytes, count: int, kinds: int, now: float) -> tuple[bytes, int, int]:
        """Look through an admitted batch with these `kinds`: (what it gets, how many it wants, how many it gets)."""
        wanted = count
        if kinds & ~self._kinds:
            batch, wanted = kernel.select(batch, self._kinds)
        if self._patterns and wanted:
            batch, wanted = self._patterns.sift(batch)
        allowed = self._allowance.take(wanted, now) if self._allowance else wanted
        if allowed < wanted:
            batch = cut(batch, allowed)[0]
        return batch, wanted, allowed
