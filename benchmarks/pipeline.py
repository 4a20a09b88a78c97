"""What a path costs: CPU seconds of the processes under test for a million envelopes, at a steady rate."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from benchmarks.options import Options
from benchmarks.rig import Bench, Layout, Rig, Snapshot, open_rig
from benchmarks.rows import Measure, Run

_TAIL_S = 0.5  # sending goes on behind the last look
_ARRIVED_S = 2.0
_LATE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyPath:
    """A path, the rate it is measured at, and whose CPU counts."""

    name: str
    layout: Layout
    rate: float
    budget: float | None
    original: str
    only: Collection[str] = ()
    """The components whose CPU counts; all of them if none is named."""
    memory: bool = False
    """Whether their memory is a row of the table too."""

    @property
    def measures(self) -> list[Measure]:
        what = f"CPU-seconds per million envelopes at {self.rate / 1000:g} k/s"
        cost = Measure(what=what, unit="s", budget=self.budget, original=self.original)
        return [cost, *[Measure(what="memory", unit="MiB")] * self.memory]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        with open_rig(bench, self.layout) as rig:
            total = rig.send(self.rate, options.warmup_s + options.seconds + _TAIL_S)
            time.sleep(options.warmup_s)
            before = rig.snapshot()
            time.sleep(options.seconds)
            after = rig.snapshot()
            problem = _problem(rig, total)
        through = after.received - before.received
        cpu_s = {name: _cpu_s(name, before, after) for name in after.uses}
        counted = [name for name in rig.components if not self.only or name in self.only]
        cost = sum(cpu_s[name] for name in counted) / through * 1e6 if through else float("inf")
        elapsed_s = after.at - before.at
        raw = {
            "envelopes": through,
            "seconds": round(elapsed_s, 3),
            "rate": round(through / elapsed_s),
            "cpu_s": {name: round(used, 2) for name, used in cpu_s.items()},
            "cpu_s_per_million": {name: round(cpu_s[name] / through * 1e6, 2) for name in cpu_s} if through else {},
            "rss_mib": {name: round(use.rss_bytes / 2**20, 1) for name, use in after.uses.items()},
        }
        memory = round(sum(after.uses[name].rss_bytes for name in counted) / 2**20, 1)
        return Run([round(cost, 3), *[memory] * self.memory], raw, problem)


def _problem(rig: Rig, total: int) -> str:
    """Say what was wrong with the load, if anything: then the figures are not those of the path."""
    rig.wait_until_sent(time.monotonic() + 30)
    sender = rig.sender.ask("progress")
    lost = total - rig.wait_until_received(total, time.monotonic() + _ARRIVED_S)
    if lost or rig.dropped():
        return f"{lost} envelopes did not arrive, {rig.dropped()} in the books"
    if sender["most_late_s"] > _LATE_S:
        return f"the load was up to {sender['most_late_s']:.1f} s late"
    return ""


def _cpu_s(name: str, before: Snapshot, after: Snapshot) -> float:
    return after.uses[name].cpu_s - before.uses[name].cpu_s


PATHS = [
    SteadyPath(
        name="doppler",
        layout=Layout(v2_reader=True),
        rate=10_000,
        budget=3,
        original="35 (router)",
    ),
    SteadyPath(
        name="doppler, traffic controller",
        layout=Layout(firehose=True),
        rate=10_000,
        budget=5,
        original="40–50",
    ),
    SteadyPath(
        name="doppler, traffic controller, ten app streams",
        layout=Layout(firehose=True, app_streams=10),
        rate=10_000,
        budget=6,
        original="42–51",
    ),
    SteadyPath(
        name="doppler, reverse log proxy",
        layout=Layout(v2_reader=True, proxied=True),
        rate=10_000,
        budget=6,
        original="51–68",
    ),
    SteadyPath(
        name="doppler, gateway (SSE)",
        layout=Layout(sse_reader=True),
        rate=10_000,
        budget=None,
        original="",
    ),
    SteadyPath(
        name="metron",
        layout=Layout(agent=True),
        rate=8_000,
        budget=4,
        original="20–21",
        only=["metron"],
    ),
]
