"""The functions of a range vector: what each says of one series' window, None if nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from tests.promql_oracle.vectors import (
    NAN,
    Point,
    Window,
    greatest,
    least,
    mean,
    quantile,
    total,
    variance,
)

OverTime = Callable[..., float | None]


def _has_two_moments(points: list[Point]) -> bool:
    """Whether the points are not all of one time: only then is there a growth, or a line."""
    return points[0][0] < points[-1][0]


def _extrapolated(window: Window, *, counts: bool, per_second: bool) -> float | None:
    """The change over the whole window, extrapolated from its first and last points to its edges."""
    points = window.points
    if not _has_two_moments(points):
        return None
    (first_ms, first), (last_ms, last) = points[0], points[-1]
    change = last - first
    if counts:
        change += sum(before for before, after in pairwise(window.values) if after < before)
    sampled_s = (last_ms - first_ms) / 1000
    between_s = sampled_s / (len(points) - 1)
    to_start_s = (first_ms - window.start_ms) / 1000
    if counts and change > 0 and first >= 0:
        to_start_s = min(to_start_s, sampled_s * (first / change))  # no counter was ever below zero
    to_end_s = (window.end_ms - last_ms) / 1000
    edges_s = [edge_s if edge_s < between_s * 1.1 else between_s / 2 for edge_s in (to_start_s, to_end_s)]
    change *= (sampled_s + sum(edges_s)) / sampled_s
    return change / ((window.end_ms - window.start_ms) / 1000) if per_second else change


def _irate(window: Window) -> float | None:
    if not _has_two_moments(window.points[-2:]):
        return None
    (before_ms, before), (last_ms, last) = window.points[-2:]
    grown = last if last < before else last - before
    return grown / ((last_ms - before_ms) / 1000)


def _idelta(window: Window) -> float | None:
    if not _has_two_moments(window.points[-2:]):
        return None
    before, last = window.values[-2:]
    return last - before


def _changes(window: Window) -> float:
    return float(
        sum(a != b and not (math.isnan(a) and math.isnan(b)) for a, b in pairwise(window.values)),
    )


def _resets(window: Window) -> float:
    return float(sum(after < before for before, after in pairwise(window.values)))


def _line(points: list[Point], zero_ms: int) -> tuple[float, float]:
    """The slope a second, and the value at `zero_ms`, of the line of least squares."""
    values = [value for _, value in points]
    if not all(map(math.isfinite, values)):
        return NAN, NAN
    if len(set(values)) == 1:
        return 0.0, values[0]
    seconds = [(time_ms - zero_ms) / 1000 for time_ms, _ in points]
    mid_time, mid_value = mean(seconds), mean(values)
    spread = total((second - mid_time) ** 2 for second in seconds)
    slope = total((s - mid_time) * (v - mid_value) for s, v in zip(seconds, values, strict=True)) / spread
    return slope, mid_value - slope * mid_time


def _deriv(window: Window) -> float | None:
    return _line(window.points, window.points[0][0])[0] if _has_two_moments(window.points) else None


def _predict_linear(window: Window, ahead_s: float) -> float | None:
    if not _has_two_moments(window.points):
        return None
    slope, level = _line(window.points, window.now_ms)
    return slope * ahead_s + level


OVER_TIME: dict[str, OverTime] = {
    "rate": partial(_extrapolated, counts=True, per_second=True),
    "increase": partial(_extrapolated, counts=True, per_second=False),
    "delta": partial(_extrapolated, counts=False, per_second=False),
    "irate": _irate,
    "idelta": _idelta,
    "changes": _changes,
    "resets": _resets,
    "deriv": _deriv,
    "predict_linear": _predict_linear,
    "sum_over_time": lambda window: total(window.values),
    "avg_over_time": lambda window: mean(window.values),
    "min_over_time": lambda window: least(window.values),
    "max_over_time": lambda window: greatest(window.values),
    "count_over_time": lambda window: float(len(window.points)),
    "quantile_over_time": lambda window, share: quantile(share, window.values),
    "stddev_over_time": lambda window: math.sqrt(variance(window.values)),
    "stdvar_over_time": lambda window: variance(window.values),
    "last_over_time": lambda window: window.values[-1],
    "first_over_time": lambda window: window.values[0],
    "present_over_time": lambda _window: 1.0,
}
"""By name; none is asked about a window without points."""

KEEPING_NAMES = {"first_over_time", "last_over_time"}
"""Those that say a value of the metric itself."""
