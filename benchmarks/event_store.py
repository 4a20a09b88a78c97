"""What it costs to keep events: appended durably, flushed to segments and compacted, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from benchmarks import event_data
from benchmarks.ceiling import Ceiling
from benchmarks.options import Options
from benchmarks.pipeline import SteadyPath
from benchmarks.processes import BenchmarkError
from benchmarks.rig import Bench, Layout
from benchmarks.rows import Measure, Run

_QUICK = 200_000
_EVENTS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Arrow batches of 10,000 events, one append each, flushed in a thread beside; then joined, sorted, in one."""

    name: str = "event store: keep"

    @property
    def measures(self) -> Sequence[Measure]:
        return [
            Measure(what="events a second, on disk when acknowledged", unit="k/s", budget=370, more_is_better=True),
            Measure(what="CPU seconds for a million, segments included", unit="s", budget=8),
            Measure(what="bytes of an event in a fresh segment", unit="B", budget=84),
            Measure(what="time from append to acknowledged, p99", unit="ms", budget=50),
            Measure(what="most RSS until then", unit="MiB"),
            Measure(what="CPU seconds for a million, to compact them", unit="s", budget=8),
            Measure(what="bytes of an event, compacted", unit="B", budget=73.9),
            Measure(what="most RSS, compacting", unit="MiB"),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        events = _QUICK if options.quick else _EVENTS
        with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
            given = Path(directory) / "events.arrow"
            text_bytes = _prepare(given, events)
            command = [sys.executable, "-m", "benchmarks.event_writer", str(given), f"{directory}/store"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"the writer of events ended: {done.stderr[-500:]}")
        said = json.loads(done.stdout)
        rate = events / said["appended_s"]
        raw = said | {"events": events, "text_mb_s": round(text_bytes / said["appended_s"] / 1e6, 1)}
        values = (
            round(rate / 1000),
            round(said["cpu_s"] / events * 1e6, 2),
            round(said["segment_bytes"] / events, 1),
            round(said["p99_ms"], 1),
            round(said["rss_mib"]),
            round(said["compact_cpu_s"] / events * 1e6, 2),
            round(said["compacted_bytes"] / events, 1),
            round(said["compact_rss_mib"]),
        )
        return Run(values, raw)


def _prepare(path: Path, events: int) -> int:
    """Write the events down, and say how much text is in them."""
    text_bytes = 0
    with path.open("wb") as file:
        for batch in event_data.batches(events):
            text_bytes += batch.column("message").nbytes
            with pa.ipc.new_stream(file, batch.schema) as writer:
                writer.write_batch(batch)
    return text_bytes


PATHS = [
    Keeping(),
    SteadyPath(
        name="event store: fed by a doppler",
        layout=Layout(event_store=True),
        rate=50_000,
        budget=8,
        original="",
        only=["event store"],
        memory=True,
    ),
    Ceiling(
        name="event store: highest rate from a doppler",
        layout=Layout(event_store=True),
        original="",
        budget=150,
    ),
]
