"""A minute at full load through an agent, two Dopplers and a firehose; then more, until it stops."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.options import Options
from benchmarks.rig import Bench, Layout, Rig, Snapshot, open_rig
from benchmarks.rows import Measure, Run
from benchmarks.trial import attempt, first_failure, highest, search

_STEP = 1.2


class Soak:
    """The whole pipeline at `RATE`: is anything lost, does memory grow, what does each process cost?"""

    name = "soak: agent, two dopplers, firehose"
    rate = 100_000.0

    @property
    def measures(self) -> list[Measure]:
        at = f"at {self.rate / 1000:g} k/s"
        return [
            Measure(what=f"envelopes lost {at}", unit="", budget=0),
            Measure(what="CPU-seconds per million envelopes, agent, two dopplers and traffic controller", unit="s"),
            Measure(what="memory gained after the first tenth, all four", unit="MiB"),
            Measure(what="where it stops", unit="k/s"),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Soak once, then raise the rate."""
        with open_rig(bench, Layout(agent=True, dopplers=2, firehose=True)) as rig:
            looks, total = self._look_on(rig, options)
            lost = total - rig.wait_until_received(total, time.monotonic() + 2.0)
            dropped = rig.dropped()
            rig.wait_until_idle(60.0)
            held = 0.0 if lost or dropped else self.rate
            trials = search(
                lambda rate: attempt(rig, rate, options.trial_s),
                self.rate * _STEP,
                options.precision,
                known_good=held,
            )
            imbalance = rig.imbalance()
        stopped = first_failure(trials)
        cost = _cpu_s_per_million(looks[0], looks[-1])
        memory = [{name: round(use.rss_bytes / 2**20, 1) for name, use in look.uses.items()} for look in looks]
        ours = list(rig.components)
        gained = sum(memory[-1][name] - memory[1][name] for name in ours)
        raw: dict[str, Any] = {
            "envelopes": total,
            "missing": lost,
            "dropped": dropped,
            "cpu_s_per_million": cost,
            "rss_mib": [
                {"at_s": round(look.at - looks[0].at, 1), **mib} for look, mib in zip(looks, memory, strict=True)
            ],
            "bound_by": stopped.bound_by if stopped else "nothing that was found",
            "trials": [trial.as_dict() for trial in trials],
        }
        values = [
            max(lost, dropped),
            round(sum(cost[name] for name in ours), 2),
            round(gained, 1),
            max(held, highest(trials)) / 1000,
        ]
        return Run(values, raw, f"the books are {imbalance} out" if imbalance else "")

    def _look_on(self, rig: Rig, options: Options) -> tuple[list[Snapshot], int]:
        """Send for the whole time, with a look at everything now and then; the last one while it is still sending."""
        looks = [rig.snapshot()]
        total = rig.send(self.rate, options.soak_s)
        while looks[-1].at + options.soak_look_s < looks[0].at + options.soak_s:
            time.sleep(options.soak_look_s)
            looks.append(rig.snapshot())
        if not rig.wait_until_sent(looks[0].at + options.soak_s * 1.5):
            rig.sender.ask("stop")
        looks.append(rig.snapshot())
        return looks, total


def _cpu_s_per_million(before: Snapshot, after: Snapshot) -> dict[str, float]:
    through = after.received - before.received
    used = {name: use.cpu_s - before.uses[name].cpu_s for name, use in after.uses.items()}
    return {name: round(cpu_s / through * 1e6, 2) if through else float("inf") for name, cpu_s in used.items()}


PATHS = [Soak()]
