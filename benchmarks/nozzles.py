"""What the runner of a nozzle costs, in front of a sink that costs nothing."""

from __future__ import annotations

from benchmarks.ceiling import Ceiling
from benchmarks.pipeline import SteadyPath
from benchmarks.rig import Layout

PATHS = [
    SteadyPath(
        name="nozzle runner, null sink",
        layout=Layout(nozzle=True),
        rate=10_000,
        budget=3,
        original="",
        only=["nozzle"],
    ),
    SteadyPath(
        name="nozzle runner, null sink, faster",
        layout=Layout(nozzle=True),
        rate=50_000,
        budget=3,
        original="",
        only=["nozzle"],
    ),
    Ceiling(name="highest rate, nozzle runner", layout=Layout(nozzle=True), original=""),
]
