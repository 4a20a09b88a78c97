"""How fast the samples of a range grow, and how often they change: as Prometheus has it, to the letter."""

from __future__ import annotations

import numpy as np

from log_cache.promql.folds import fold
from log_cache.promql.ranges import Ranges
from log_cache.promql.values import Flags, Numbers, Times

_NEAR = 1.1
"""An end of a range is taken for reached if the samples come as near to it as this many mean distances."""


def increase(ranges: Ranges) -> Numbers:
    """What a counter grew by, extrapolated to the whole range, resets made good."""
    return _extrapolated(ranges, _grown(ranges, _resets_made_good(ranges)), counter=True)


def rate(ranges: Ranges) -> Numbers:
    """What a counter grows by in a second."""
    return increase(ranges) / ((ranges.ends - ranges.starts) / 1000)


def delta(ranges: Ranges) -> Numbers:
    """What a gauge changed by, extrapolated to the whole range."""
    return _extrapolated(ranges, _grown(ranges, 0.0), counter=False)


def irate(ranges: Ranges) -> Numbers:
    """What a counter grew by in a second between the last two samples."""
    before, last = _last_two(ranges)
    return np.where(last < before, last, last - before) / seconds_between(ranges)


def idelta(ranges: Ranges) -> Numbers:
    """The difference between the last two samples."""
    before, last = _last_two(ranges)
    return last - before


def seconds_between(ranges: Ranges) -> Numbers:
    """How long it was from the last but one sample to the last; 0 where there is only one."""
    before, last = _places_of_the_last_two(ranges)
    return (ranges.times[last] - ranges.times[before]) / 1000


def seconds_sampled(ranges: Ranges) -> Numbers:
    """How long it was from the first sample to the last; 0 where there is only one."""
    first, last = _ends(ranges)
    return (ranges.times[last] - ranges.times[first]) / 1000


def changes(ranges: Ranges) -> Numbers:
    """How often a sample differs from the one before it; NaN is like NaN."""
    before, after = ranges.values[:-1], ranges.values[1:]
    return _counted(ranges, (after != before) & ~(np.isnan(after) & np.isnan(before)))


def resets(ranges: Ranges) -> Numbers:
    """How often a sample is less than the one before it."""
    return _counted(ranges, ranges.values[1:] < ranges.values[:-1])


def _counted(ranges: Ranges, events: Flags) -> Numbers:
    """Count the events (number i lies between sample i and the next) within each range."""
    total: Times = np.concatenate((np.zeros(1, np.int64), np.cumsum(events)))
    first, last = _ends(ranges)
    return (total[last] - total[first]).astype(np.float64)


def _ends(ranges: Ranges) -> tuple[Times, Times]:
    """The first and the last sample of each range; any one where there is none."""
    first = np.minimum(ranges.firsts, max(0, len(ranges.values) - 1))
    return first, np.maximum(first, ranges.firsts + ranges.counts - 1)


def _last_two(ranges: Ranges) -> tuple[Numbers, Numbers]:
    before, last = _places_of_the_last_two(ranges)
    return ranges.values[before], ranges.values[last]


def _places_of_the_last_two(ranges: Ranges) -> tuple[Times, Times]:
    first, last = _ends(ranges)
    return np.maximum(first, last - 1), last


def _grown(ranges: Ranges, made_good: Numbers | float) -> Numbers:
    first, last = _ends(ranges)
    return ranges.values[last] - ranges.values[first] + made_good


def _resets_made_good(ranges: Ranges) -> Numbers | float:
    """The sum, over a range, of the values from which a counter fell."""
    before, after = ranges.values[:-1], ranges.values[1:]
    fell = after < before
    if not fell.any():
        return 0.0
    losses = np.concatenate((np.zeros(1), np.where(fell, before, 0.0)))
    return fold(np.add, losses, 0.0, ranges.firsts + 1, np.maximum(ranges.counts - 1, 0))


def _extrapolated(ranges: Ranges, grown: Numbers, *, counter: bool) -> Numbers:
    """Stretch the growth between the first and the last sample to the ends of the range, if the samples come near.

    Where they do not, the series is taken to begin or end half a mean distance from them; a counter does not begin
    below zero.
    """
    first, last = _ends(ranges)
    sampled = seconds_sampled(ranges)
    to_start = (ranges.times[first] - ranges.starts) / 1000
    to_end = (ranges.ends - ranges.times[last]) / 1000
    distance = sampled / np.maximum(ranges.counts - 1, 1)
    if counter:
        lowest = ranges.values[first]
        to_zero = sampled * (lowest / grown)
        to_start = np.where((grown > 0) & (lowest >= 0) & (to_zero < to_start), to_zero, to_start)
    near = distance * _NEAR
    stretched = sampled + np.where(to_start < near, to_start, distance / 2)
    stretched = stretched + np.where(to_end < near, to_end, distance / 2)
    return grown * (stretched / sampled)
