"""Choose what goes first: the oldest envelopes by time, whichever stretches they are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from log_cache.chunk import Int64s


class Stretch(Protocol):
    """Envelopes in order of arrival, and between which times they lie."""

    @property
    def live(self) -> int:
        """How many there are: one or more."""

    @property
    def oldest(self) -> int:
        """The oldest time."""

    @property
    def newest(self) -> int:
        """The newest time."""

    @property
    def middle(self) -> int:
        """A time about half of them are older than."""

    @property
    def held_bytes(self) -> int:
        """How much memory they take."""

    def live_times(self) -> Int64s:
        """Give their times, in order of arrival."""


def choose_whole(stretches: Sequence[Stretch], quota: int) -> list[int]:
    """Say which stretches have to go as they are, so that memory comes to `quota`: those whose middle is oldest.

    Memory comes back with the last envelope of a stretch only, so none goes without the others. The middle, and not an
    end, decides: a single envelope with a strange time neither dooms the others nor saves them.
    """
    middles = np.array([stretch.middle for stretch in stretches], np.int64)
    oldest_first = np.argsort(middles, kind="stable")
    come_to = np.cumsum(np.array([stretch.held_bytes for stretch in stretches], np.int64)[oldest_first])
    return oldest_first[: int(np.searchsorted(come_to, quota)) + 1].tolist() if quota > 0 else []


def choose_oldest(stretches: Sequence[Stretch], weights: Sequence[int], quota: int) -> dict[int, int]:
    """Say how many of the oldest of each stretch have to go, so that their weight comes to `quota`: {which: count}.

    A stretch's weight is shared by its envelopes alike. No more go than must, and of equal times those of the first
    stretches; all go if together they are too light. What lies behind the quota for certain is not looked at.
    """
    if quota <= 0 or not stretches:
        return {}
    heavy = np.array(weights, np.int64)
    if heavy.sum() <= quota:
        return {which: stretch.live for which, stretch in enumerate(stretches)}
    chosen = _candidates(stretches, heavy, quota)
    parts = [stretches[which].live_times() for which in chosen]
    lives = [len(part) for part in parts]
    order = np.argsort(np.concatenate(parts), kind="stable")
    owners = np.repeat(np.arange(len(chosen)), lives)[order]
    weighed = np.cumsum((heavy[chosen] / lives)[owners])
    cut = int(np.searchsorted(weighed, quota - 1e-6)) + 1
    counts = np.bincount(owners[:cut], minlength=len(chosen)).tolist()
    return {which: count for which, count in zip(chosen, counts, strict=True) if count}


def _candidates(stretches: Sequence[Stretch], heavy: Int64s, quota: int) -> list[int]:
    """Give the stretches that may hold any of those that go.

    Once stretches that come to the quota are over, nothing goes that is newer than the last of them.
    """
    newest = np.array([stretch.newest for stretch in stretches], np.int64)
    ends_first = np.argsort(newest, kind="stable")
    last = int(np.searchsorted(np.cumsum(heavy[ends_first]), quota))
    beginnings = np.array([stretch.oldest for stretch in stretches], np.int64)
    return np.flatnonzero(beginnings <= newest[ends_first[last]]).tolist()
