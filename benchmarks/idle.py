"""What it takes to hold many clients that have little to read: memory and CPU of the components."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.options import Options
from benchmarks.rig import Bench, Layout, open_rig
from benchmarks.rows import Measure, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Clients that are connected while nothing is sent."""

    name: str
    layout: Layout
    without: Layout

    @property
    def measures(self) -> list[Measure]:
        return [
            Measure(what="CPU of one core, doppler and traffic controller", unit="%"),
            Measure(what="memory of both, beside what one client takes", unit="MiB"),
            Measure(what="time until all are subscribed", unit="s"),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        with open_rig(bench, self.without) as rig:
            alone = {name: use.rss_bytes for name, use in rig.snapshot().uses.items()}
        began = time.monotonic()
        with open_rig(bench, self.layout) as rig:
            opened_s = time.monotonic() - began
            time.sleep(options.warmup_s)
            before = rig.snapshot()
            time.sleep(options.seconds)
            after = rig.snapshot()
            ours = list(rig.components)
        cpu_s = {name: after.uses[name].cpu_s - before.uses[name].cpu_s for name in ours}
        gained = {name: (after.uses[name].rss_bytes - alone[name]) / 2**20 for name in ours}
        raw = {
            "cpu_percent": {name: round(100 * used / (after.at - before.at), 2) for name, used in cpu_s.items()},
            "rss_mib": {name: round(after.uses[name].rss_bytes / 2**20, 1) for name in ours},
            "gained_mib": {name: round(mib, 1) for name, mib in gained.items()},
        }
        values = [
            round(100 * sum(cpu_s.values()) / (after.at - before.at), 2),
            round(sum(gained.values()), 1),
            round(opened_s, 1),
        ]
        return Run(values, raw)


PATHS = [
    Idle(name="500 idle app streams", layout=Layout(app_streams=500), without=Layout(app_streams=1)),
    Idle(
        name="500 idle app streams and 50 idle firehoses",
        layout=Layout(app_streams=500, firehoses=50),
        without=Layout(firehoses=1),
    ),
]
