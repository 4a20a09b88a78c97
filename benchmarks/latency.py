"""How long an envelope takes from its sender to a reader of the firehose, at a low rate."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.options import Options
from benchmarks.rig import Bench, Layout, open_rig
from benchmarks.rows import Measure, Run

RATE = 2_000
BATCH_SIZE = 10  # every 5 ms: a client that waited for a hundred would add its own 50 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A path that is timed from end to end."""

    name: str
    agent: bool
    budget_p50_ms: float
    budget_p99_ms: float
    original: tuple[str, str]

    @property
    def measures(self) -> list[Measure]:
        budgets = (("p50", self.budget_p50_ms), ("p99", self.budget_p99_ms))
        return [
            Measure(what=f"{percentile} at {RATE / 1000:g} k/s", unit="ms", budget=budget, original=original)
            for (percentile, budget), original in zip(budgets, self.original, strict=True)
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        layout = Layout(agent=self.agent, firehose=True, batch_size=BATCH_SIZE, stamped=True)
        with open_rig(bench, layout) as rig:
            assert rig.reader is not None
            total = rig.send(RATE, options.warmup_s + options.seconds)
            time.sleep(options.warmup_s)
            rig.reader.ask("forget_delays")
            time.sleep(options.seconds)
            rig.wait_until_sent(time.monotonic() + options.seconds)
            lost = total - rig.wait_until_received(total, time.monotonic() + 2.0)
            delays = rig.reader.ask("delays")
        return Run([delays["p50_ms"], delays["p99_ms"]], delays, f"{lost} envelopes did not arrive" if lost else "")


PATHS = [
    Latency(name="app, agent, firehose", agent=True, budget_p50_ms=5, budget_p99_ms=20, original=("117", "252")),
    Latency(name="doppler, firehose", agent=False, budget_p50_ms=3, budget_p99_ms=10, original=("38", "67")),
]
