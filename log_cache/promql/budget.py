"""What one query may cost: samples and cells it may touch, and a deadline that is looked at on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from log_cache.promql.values import QueryError

MAX_SAMPLES = 50_000_000


def _no_deadline() -> None:
    """A query that may take its time."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """Spent on every sample read and on every cell (a series at a step) that is computed, so it bounds memory too."""

    max_samples: int = MAX_SAMPLES
    check: Callable[[], None] = _no_deadline
    """Raises `QueryError("timeout", …)` once it is too late; called between the parts of a query and inside loops."""
    spent: int = field(default=0, init=False)

    def spend(self, samples: int) -> None:
        """Pay before the memory is taken; raises `QueryError` when the query is too large."""
        self.spent += samples
        if self.spent > self.max_samples:
            message = "query processing would load too many samples into memory in query execution"
            raise QueryError("execution", message)
        self.check()
