"""Which drain gets which envelopes of a batch. No I/O, no clock.

Hot path: every batch that comes in is split once, by the sources that are bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from envelope import kernel


class Taker(Protocol):
    """A drain, as the dispatcher sees it."""

    def offer(self, batch: bytes, count: int, kinds: int) -> None:
        """Take an admitted batch; `kinds` are those in it."""


class Keeper(Protocol):
    """A drain that has a spool."""

    @property
    def accepted(self) -> int:
        """Envelopes that it has taken of what it was offered."""

    @property
    def unsafe(self) -> int:
        """The last of them, which are not on disk yet, and not delivered or lost."""


class Debt(NamedTuple):
    """What a drain has taken, and had not made safe at a moment."""

    keeper: Keeper
    accepted: int

    @property
    def is_paid(self) -> bool:
        """Whether that is safe by now."""
        return self.keeper.accepted - self.keeper.unsafe >= self.accepted


class Dispatcher:
    """Knows the drains of each source, and those for everybody's envelopes."""

    def __init__(self) -> None:
        self._by_source: Mapping[bytes, tuple[Taker, ...]] = {}
        self._aggregates: tuple[Taker, ...] = ()
        self._keepers: tuple[Keeper, ...] = ()

    def route(
        self,
        by_source: Mapping[bytes, tuple[Taker, ...]],
        aggregates: Iterable[Taker],
        keepers: Iterable[Keeper] = (),
    ) -> None:
        """Deliver to these drains from now on; `keepers` are those with spools, the ones that are leaving too."""
        self._by_source = by_source
        self._aggregates = tuple(aggregates)
        self._keepers = tuple(keepers)

    def debts(self) -> tuple[Debt, ...]:
        """Say what of all that was dispatched so far is to be on a disk and is not."""
        return tuple(Debt(keeper, keeper.accepted) for keeper in self._keepers if keeper.unsafe)

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
