"""Functions that read a number as seconds since 1970 and say what the calendar says, in UTC."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from log_cache.promql.arguments import Function, calculated, seconds, vector
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Columns, Numbers, Value

_LAST_SECOND = 2.0**53
"""Beyond it a double has no whole seconds, and the calendar is NaN."""

_Seconds = NDArray[np.int64]


def _days(moments: _Seconds) -> _Seconds:
    return moments // 86_400


def _months(moments: _Seconds) -> _Seconds:
    """Count months since January 1970."""
    return _days(moments).astype("M8[D]").astype("M8[M]").astype(np.int64)


def _first_day(months: _Seconds) -> _Seconds:
    return months.astype("M8[M]").astype("M8[D]").astype(np.int64)


def _first_of_year(moments: _Seconds) -> _Seconds:
    return _first_day(_months(moments) // 12 * 12)


def _days_in_month(moments: _Seconds) -> _Seconds:
    months = _months(moments)
    return _first_day(months + 1) - _first_day(months)


FIELDS: dict[str, Callable[[_Seconds], _Seconds]] = {
    "minute": lambda moments: moments // 60 % 60,
    "hour": lambda moments: moments // 3600 % 24,
    "day_of_week": lambda moments: (_days(moments) + 4) % 7,  # 1970 began on a Thursday; 0 is Sunday
    "day_of_month": lambda moments: _days(moments) - _first_day(_months(moments)) + 1,
    "day_of_year": lambda moments: _days(moments) - _first_of_year(moments) + 1,
    "days_in_month": _days_in_month,
    "month": lambda moments: _months(moments) % 12 + 1,
    "year": lambda moments: _months(moments) // 12 + 1970,
}


def _function(field: Callable[[_Seconds], _Seconds]) -> Function:
    def function(arguments: Sequence[Value], times: StepTimes) -> Value:
        columns = vector(arguments[0]) if arguments else _now(seconds(times))
        known = np.abs(columns.values) <= _LAST_SECOND
        moments = np.where(known & columns.present, columns.values, 0).astype(np.int64)
        return calculated(columns, np.where(known, field(moments), np.nan))

    return function


def _now(moments: Numbers) -> Columns:
    return Columns([()], moments[np.newaxis], np.ones((1, len(moments)), np.bool_))


FUNCTIONS: dict[str, Function] = {name: _function(field) for name, field in FIELDS.items()}
"""By name; without an argument they speak of the time of the step."""
