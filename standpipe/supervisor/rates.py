"""Turn the books of all components into the few numbers of a status line. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from plumbing.ledger import SINK

_DOORS = ("ingress", "hop")
_EXITS = ("subscription", "hop")
_HOLDERS = (*_DOORS, *_EXITS, SINK)
"""Whose drops and holdings count. A `store` is no such: what a cache holds is not on its way anywhere."""
_IN_THE_MIDDLE = (
    "doppler",
    "metron",
    "traffic_controller",
    "reverse_log_proxy",
    "log_cache",
    "syslog_adapter",
    "nozzles",
    "event_store",
)
"""Where the flow is measured: at the Dopplers, or where it can be if none run here."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What one component, or several, did so far; `held` is what they hold now, and of that `outlives` what is not
    lost when they die: it is on disk, or its sender gives it again.
    """

    came: int = 0
    went: int = 0
    dropped: int = 0
    held: int = 0
    outlives: int = 0

    def __add__(self, other: Flow) -> Flow:
        return Flow(
            self.came + other.came,
            self.went + other.went,
            self.dropped + other.dropped,
            self.held + other.held,
            self.outlives + other.outlives,
        )

    def died(self) -> Flow:
        """What is left when the component is dead: what it alone held, in memory, is gone."""
        return Flow(self.came, self.went, self.dropped + self.held - self.outlives)


class Rates(NamedTuple):
    """The status line: envelopes a second in and out; dropped since the start; held now."""

    in_s: float
    out_s: float
    dropped: int
    held: int


@dataclass(slots=True)
class _Reading:
    incarnation: str
    flow: Flow
    earlier: Flow = Flow()
    """Of the incarnations before this one."""

    @property
    def total(self) -> Flow:
        return self.earlier + self.flow


@dataclass(slots=True)
class Meter:
    """Follows the books of all components, through their restarts."""

    _readings: dict[str, _Reading] = field(default_factory=dict)
    _rooms: dict[str, str] = field(default_factory=dict)
    _before: tuple[float, Flow] | None = None

    def note(self, component: str, room: str, book: Mapping[str, Any]) -> None:
        """Take note of a component's latest book."""
        earlier = Flow()
        if last := self._readings.get(component):
            earlier = last.earlier
            if last.incarnation != book["incarnation"]:
                earlier = last.total.died()
        self._rooms[component] = room
        self._readings[component] = _Reading(book["incarnation"], flow_of(book), earlier)

    def rates(self, now: float) -> Rates:
        """Say what happened since the last time this was asked; `now` in seconds of any clock."""
        middle = self._middle()
        since, before = self._before or (now, middle)
        self._before = now, middle
        elapsed_s = now - since
        everything = sum((each.total for each in self._readings.values()), Flow())
        return Rates(
            in_s=(middle.came - before.came) / elapsed_s if elapsed_s > 0 else 0.0,
            out_s=(middle.went - before.went) / elapsed_s if elapsed_s > 0 else 0.0,
            dropped=everything.dropped,
            held=everything.held,
        )

    def _middle(self) -> Flow:
        for room in _IN_THE_MIDDLE:
            there = [reading.total for name, reading in self._readings.items() if self._rooms[name] == room]
            if there:
                return sum(there, Flow())
        return Flow()


def flow_of(book: Mapping[str, Any]) -> Flow:
    """Add up one component's book: whatever came in by its doors, and what became of it."""
    flow = Flow()
    of_strangers = any(account["kind"] == "reader" and account.get("outside") for account in book["accounts"])
    for account in book["accounts"]:
        kind = account["kind"]
        if kind in _HOLDERS:
            flow += Flow(
                came=account["received"] if kind in _DOORS else 0,
                went=account["delivered"] if kind in _EXITS else 0,
                dropped=sum(account["dropped"].values()),
                held=account["held"] + account["in_flight"],
                outlives=account.get("on_disk", 0) + (0 if of_strangers else account.get("unconfirmed", 0)),
            )
    return flow
