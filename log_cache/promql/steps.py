"""The moments at which a query is evaluated: one of an instant query, evenly spaced ones of a range query."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from log_cache.promql.values import QueryError, Times

MAX_STEPS = 11_000
"""Moments one range query may ask for, as many as Prometheus allows."""
_MAX_MS = 1 << 53
"""The latest and, negative, the earliest moment: 285,000 years from 1970, so that no sum of times overflows."""


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """The moments from `start_ms` to `end_ms` (both inclusive), `step_ms` apart; of an instant query `step_ms` is 0."""

    start_ms: int
    end_ms: int
    step_ms: int

    @classmethod
    def instant(cls, time_ms: int) -> StepTimes:
        """The one moment of an instant query."""
        _check(time_ms)
        return cls(start_ms=time_ms, end_ms=time_ms, step_ms=0)

    @classmethod
    def spaced(cls, start_ms: int, end_ms: int, step_ms: int) -> StepTimes:
        """The moments of a range query, checked as Prometheus checks them."""
        for moment in (start_ms, end_ms, step_ms):
            _check(moment)
        if step_ms <= 0:
            raise QueryError("bad_data", "zero or negative query resolution step widths are not accepted")
        if end_ms < start_ms:
            raise QueryError("bad_data", "end timestamp must not be before start time")
        if (end_ms - start_ms) // step_ms + 1 > MAX_STEPS:
            raise QueryError("bad_data", f"exceeded maximum resolution of {MAX_STEPS:,} points per timeseries")
        return cls(start_ms=start_ms, end_ms=end_ms, step_ms=step_ms)

    @property
    def is_instant(self) -> bool:
        """Whether this is the moment of an instant query, which is answered in another form than a range of one."""
        return self.step_ms == 0

    def __len__(self) -> int:
        return 1 if self.is_instant else (self.end_ms - self.start_ms) // self.step_ms + 1

    @cached_property
    def times(self) -> Times:
        """Every moment, in milliseconds."""
        return np.arange(len(self), dtype=np.int64) * self.step_ms + self.start_ms


def _check(moment: int) -> None:
    if abs(moment) > _MAX_MS:
        raise QueryError("bad_data", "a time of the query is out of range")
