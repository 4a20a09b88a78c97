"""Which drain gets which envelopes of a batch. No I/O, no clock.

Hot path: every batch that comes in is split once, by the sources that are bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from envelope import kernel


class Taker(Protocol):
    """A drain, as the dispatcher sees it."""

    def offer(self, batch: bytes, count: int, kinds: int) -> None:
        """Take an admitted batch; `kinds` are those in it."""


class Dispatcher:
    """Knows the drains of each source, and those for everybody's envelopes."""

    def __init__(self) -> None:
        self._by_source: Mapping[bytes, tuple[Taker, ...]] = {}
        self._aggregates: tuple[Taker, ...] = ()

    def route(self, by_source: Mapping[bytes, tuple[Taker, ...]], aggregates: Iterable[Taker]) -> None:
        """Deliver to these drains from now on."""
        self._by_source = by_source
        self._aggregates = tuple(aggregates)

    def dispatch(self, batch: bytes, count: int, kinds: int) -> int:
        """Offer an admitted batch to every drain that it concerns; returns how many envelopes concern none."""
        routed = 0
        if self._by_source:
            for source, (part, size, part_kinds) in kernel.split(batch, self._by_source).items():
                routed += size
                for drain in self._by_source[source]:
                    drain.offer(part, size, part_kinds)
        for drain in self._aggregates:
            drain.offer(batch, count, kinds)
        return 0 if self._aggregates else count - routed
