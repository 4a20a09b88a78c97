"""Fold windows of one long array, each into one number, in time that hardly depends on their length.

A window of n elements is put together of at most log2(n) blocks whose lengths are powers of two; the blocks of one
length are made of those of half of it, for the whole array at once. Nothing outside of a window touches its result (as
it would with running totals: one infinity, and every difference behind it is NaN), and sums are as exact as pairwise
sums are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from log_cache.promql.values import Numbers, Times

Combine: TypeAlias = Callable[[Numbers, Numbers], Numbers]
"""Of two neighbours; states of several numbers have one line for each."""


def fold(combine: Combine, states: Numbers, nothing: float, firsts: Times, counts: Times) -> Numbers:
    """Combine `states[..., first : first + count]` for every window; `nothing` is the result of an empty one.

    `firsts` and `counts` may have any shape, the result has it too (behind the lines of a state).
    """
    at, left = firsts.ravel().copy(), counts.ravel()
    results = np.full((*states.shape[:-1], at.size), nothing)
    length = 1
    while (active := left >= length).any():
        taken = np.flatnonzero(active & (left & length != 0))
        results[..., taken] = combine(results[..., taken], states[..., at[taken]])
        at[taken] += length
        states = combine(states[..., :-length], states[..., length:])
        length *= 2
    return results.reshape((*states.shape[:-1], *firsts.shape))


def moments(x: Numbers, y: Numbers, firsts: Times, counts: Times) -> Numbers:
    """The count, the means of x and y, and the sums of (x - mean)² and of (x - mean)(y - mean), of every window."""
    zero = x - x  # NaN where x is not finite
    states = np.stack((np.ones_like(x), x, y, zero, zero + (y - y)))
    return fold(_join_moments, states, 0.0, firsts, counts)


def _join_moments(left: Numbers, right: Numbers) -> Numbers:
    """Join two samples' moments (Chan, Golub and LeVeque): as exact as if the means had been known before."""
    count = left[0] + right[0]
    share = right[0] / np.maximum(count, 1)
    dx, dy = right[1] - left[1], right[2] - left[2]
    both = left[0] * share
    return np.stack(
        (
            count,
            left[1] + dx * share,
            left[2] + dy * share,
            left[3] + right[3] + dx * both * dx,  # in this order 0 stays 0, where the square would be infinite
            left[4] + right[4] + dx * both * dy,
        )
    )
