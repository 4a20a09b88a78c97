"""What an agent's UDP doors take without loss, and what a datagram costs it: dropsonde logs, and lines of statsd.

Nobody can be asked to wait at these doors: what comes too fast is dropped by the kernel, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.ceiling import Ceiling
from benchmarks.pipeline import SteadyPath
from benchmarks.rig import Layout
from benchmarks.rows import Measure

_RATE = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyDatagrams(SteadyPath):
    """A door at a steady rate; every datagram is one envelope."""

    @property
    def measures(self) -> list[Measure]:
        return [Measure(what=f"CPU-seconds per million datagrams at {self.rate / 1000:g} k/s", unit="s")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramCeiling(Ceiling):
    """A door whose limit is looked for."""

    @property
    def measures(self) -> list[Measure]:
        return [Measure(what="thousand datagrams a second without loss", unit="k/s", more_is_better=True)]


_DOORS = {"dropsonde": "dropsonde logs", "statsd": "statsd lines"}

PATHS: list[SteadyDatagrams | DatagramCeiling] = [
    *(
        SteadyDatagrams(
            name=f"metron, {what} by UDP",
            layout=Layout(agent=True, door=door),
            rate=_RATE,
            budget=None,
            original="",
            only=["metron"],
        )
        for door, what in _DOORS.items()
    ),
    *(
        DatagramCeiling(name=f"highest rate, {what} by UDP", layout=Layout(agent=True, door=door), original="")
        for door, what in _DOORS.items()
    ),
]
