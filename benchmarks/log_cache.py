"""What a log cache costs: to fill, in memory, to read from, to follow, to query."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from benchmarks.ceiling import Ceiling
from benchmarks.options import Options
from benchmarks.pipeline import SteadyPath
from benchmarks.rig import Bench, Layout, Rig, open_rig
from benchmarks.rows import Measure, Run
from benchmarks.workload import source_ids

_VARIED = 2_000  # batches: a source's envelopes come again after a thousand of its own, sixteen chunks later
_FILLED = 1_000_000
_FILL_RATE = 100_000
_READS = 200
_PAUSE_S = 0.02
_FOLLOW_RATE = 2_000
_INGEST_RATE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A million envelopes put in: what does each take, by the kernel's count?"""

    name: str = "log cache: memory"
    limit_mib: int = 1024

    @property
    def measures(self) -> Sequence[Measure]:
        return [
            Measure(what="bytes of RSS for each envelope of 518 held", unit="B", budget=260, original="2,100"),
            Measure(what="the same, the empty process included", unit="B"),
            Measure(what=f"most RSS at any time, limit {self.limit_mib} MiB", unit="MiB", budget=self.limit_mib),
            Measure(what="envelopes held in the end", unit="k"),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Fill it once."""
        layout = Layout(dopplers=0, log_cache=True, batches=_VARIED, memory_limit_mib=self.limit_mib)
        with open_rig(bench, layout) as rig:
            empty = rig.snapshot().uses["log cache"].rss_bytes
            looks = _fill(rig, options)
            held = rig.metric("log cache", "log_cache_envelopes_held")
            packed = rig.metric("log cache", "log_cache_held_bytes")
        full = looks[-1]
        raw = {
            "empty_mib": round(empty / 2**20, 1),
            "full_mib": round(full / 2**20, 1),
            "held": held,
            "held_bytes": packed,
        }
        return Run(
            [round((full - empty) / held, 1), round(full / held, 1), round(max(looks) / 2**20, 1), held / 1000], raw
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A thousand envelopes as JSON, of a source among others, newest first."""

    name: str
    ingest_rate: float = 0
    """Envelopes a second that come in meanwhile."""
    budgets: tuple[float, float]
    original: tuple[str, str] = ("", "")

    @property
    def measures(self) -> Sequence[Measure]:
        return [
            Measure(what=f"{name} of a read of 1,000 envelopes", unit="ms", budget=budget, original=original)
            for name, budget, original in zip(("p50", "p99"), self.budgets, self.original, strict=True)
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Read for a while."""
        with open_rig(bench, Layout(dopplers=0, log_cache=True, batches=_VARIED, stamped=True)) as rig:
            _fill(rig, options)
            if self.ingest_rate:
                rig.send(self.ingest_rate, options.seconds + 5)
            path = f"/api/v1/read/{source_ids()[0]}?limit=1000&descending=true"
            figures = rig.workers["client"].ask("ask", path=path, times=_READS, pause_s=_PAUSE_S)
            rig.sender.ask("stop")
        return Run([figures["p50_ms"], figures["p99_ms"]], figures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How long after its sending a line is shown to whoever follows its source."""

    name: str = "log cache: tail -f"

    @property
    def measures(self) -> Sequence[Measure]:
        what = f"of the time from sending to having been read, at {_FOLLOW_RATE / 1000:g} k/s"
        return [Measure(what=f"p50 {what}", unit="ms"), Measure(what=f"p99 {what}", unit="ms", budget=20)]

    def run(self, bench: Bench, options: Options) -> Run:
        """Follow one source of two hundred."""
        with open_rig(bench, Layout(dopplers=0, log_cache=True, stamped=True, batch_size=10)) as rig:
            rig.workers["client"].ask("follow", source=source_ids()[0])
            rig.send(_FOLLOW_RATE, options.seconds)
            rig.wait_until_sent(time.monotonic() + options.seconds * 2)
            time.sleep(1)
            figures = rig.workers["client"].ask("delays")
        return Run([figures["p50_ms"], figures["p99_ms"]], figures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Querying:
    """`rate` over a quarter of an hour of a counter with a hundred series, a sample every 15 s and one every second."""

    name: str = "log cache: PromQL"

    @property
    def measures(self) -> Sequence[Measure]:
        what = "of rate over 15 minutes of 100 series"
        return [
            Measure(what=f"p50 {what}, a sample every 15 s", unit="ms", budget=50),
            Measure(what=f"p50 {what}, a sample every second", unit="ms"),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Fill in the counters and ask."""
        values = []
        raw: dict[str, Any] = {}
        with open_rig(bench, Layout(dopplers=0, log_cache=True)) as rig:
            end_s = int(time.time())
            for every_s in (15, 1):
                source = f"counter-{every_s}"
                rig.workers["sender"].ask("counters", source=source, end_s=end_s, every_s=every_s, series=100)
                query = f'rate(requests{{source_id="{source}"}}[1m])'
                spaced = {"query": query, "start": end_s - 900, "end": end_s, "step": 15}
                figures = rig.workers["client"].ask(
                    "ask",
                    path=f"/api/v1/query_range?{urlencode(spaced)}",
                    times=_READS // (20 if options.quick else 4),
                    pause_s=_PAUSE_S,
                )
                raw[source] = figures
                values.append(figures["p50_ms"])
        return Run(values, raw)


def _fill(rig: Rig, options: Options) -> list[int]:
    """Put in what is to be read, and say how much memory the cache took, look by look."""
    count = _FILLED // (10 if options.quick else 1)
    total = rig.send(_FILL_RATE, count / _FILL_RATE)
    looks = []
    deadline = time.monotonic() + 120
    while rig.received() < total and time.monotonic() < deadline:
        looks.append(rig.snapshot().uses["log cache"].rss_bytes)
        time.sleep(0.25)
    time.sleep(1.5)  # a look of its own at what it holds
    return [*looks, rig.snapshot().uses["log cache"].rss_bytes]


PATHS = [
    SteadyPath(
        name="log cache: Send",
        layout=Layout(dopplers=0, log_cache=True, batches=_VARIED),
        rate=200_000,
        budget=5,
        original="18",
        only=["log cache"],
    ),
    SteadyPath(
        name="log cache: fed by a doppler",
        layout=Layout(log_cache=True),
        rate=_INGEST_RATE,
        budget=5,
        original="",
        only=["log cache"],
    ),
    Ceiling(
        name="log cache: highest rate by Send",
        layout=Layout(dopplers=0, log_cache=True, batches=_VARIED),
        original="63",
    ),
    Memory(),
    Reading(name="log cache: read, idle", budgets=(8, 20), original=("34", "55")),
    Reading(name="log cache: read, 10 k/s coming in", ingest_rate=_INGEST_RATE, budgets=(20, 50)),
    Following(),
    Querying(),
]
