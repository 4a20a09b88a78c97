"""What one query may cost: samples and cells it may touch, and a deadline that is looked at on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from log_cache.promql.values import QueryError

MAX_SAMPLES = 50_000_000
MAX_POINTS = 2_000_000
"""Of a result: about as many as fit into 50 MiB, the largest answer of the original's gRPC."""

CELL_BYTES = 8
"""What is paid for on the way is a number."""
LOADED_BYTES = 32
"""About what a sample that is loaded takes of memory, with its time and with copies."""


def _no_deadline() -> None:
    """A query that may take its time."""


def _no_bound(_: int) -> None:
    """Memory that nobody counts."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """Spent on every sample read and on every cell (a series at a step) that is computed, so it bounds memory too."""

    max_samples: int = MAX_SAMPLES
    check: Callable[[], None] = _no_deadline
    """Raises `QueryError("timeout", …)` once it is too late; called between the parts of a query and inside loops."""
    hold: Callable[[int], None] = _no_bound
    """Told of the bytes that are taken; raises `QueryError` when all queries together take too much."""
    each_bytes: int = CELL_BYTES
    """What each sample or cell counts in memory."""
    spent: int = field(default=0, init=False)

    def spend(self, samples: int) -> None:
        """Pay before the memory is taken; raises `QueryError` when the query is too large."""
        self.hold(samples * self.each_bytes)
        self.spent += samples
        if self.spent > self.max_samples:
            message = "query processing would load too many samples into memory in query execution"
            raise QueryError("execution", message)
        self.check()
