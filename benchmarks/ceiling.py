"""The highest rate that a path carries without losing an envelope."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.options import Options
from benchmarks.rig import Bench, Layout, open_rig
from benchmarks.rows import Measure, Run
from benchmarks.trial import attempt, first_failure, highest, search

_FIRST_RATE = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """A path whose limit is looked for."""

    name: str
    layout: Layout
    original: str
    budget: float = 200

    @property
    def measures(self) -> list[Measure]:
        what = "thousand envelopes a second without loss"
        return [Measure(what=what, unit="k/s", budget=self.budget, more_is_better=True, original=self.original)]

    def run(self, bench: Bench, options: Options) -> Run:
        """Search once."""
        with open_rig(bench, self.layout) as rig:
            attempt(rig, _FIRST_RATE / 5, options.warmup_s)
            trials = search(lambda rate: attempt(rig, rate, options.trial_s), _FIRST_RATE, options.precision)
            imbalance = rig.imbalance()
        stopped = first_failure(trials)
        raw = {
            "bound_by": stopped.bound_by if stopped else "nothing that was found",
            "trials": [trial.as_dict() for trial in trials],
        }
        return Run([round(highest(trials) / 1000, 1)], raw, f"the books are {imbalance} out" if imbalance else "")


PATHS = [
    Ceiling(name="highest rate, v2 subscriber", layout=Layout(v2_reader=True), original="24–39"),
    Ceiling(name="highest rate, firehose", layout=Layout(firehose=True), original="29–39"),
    Ceiling(name="highest rate, through an agent", layout=Layout(agent=True, v2_reader=True), original="9"),
]
