"""What it costs to keep events: appended durably, flushed to segments and compacted, in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import event_files
from benchmarks.ceiling import Ceiling
from benchmarks.options import Options
from benchmarks.pipeline import SteadyPath
from benchmarks.rig import Bench, Layout
from benchmarks.rows import Measure, Run

_QUICK = 200_000
_OF, _EVENTS = 8_000_000, 3_000_000
"""The first ones of the file that is asked about, too: it is made once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Arrow batches of 10,000 events, one append each, flushed in a thread beside; then joined, sorted, in one."""

    name: str = "event store: keep"

    @property
    def measures(self) -> Sequence[Measure]:
        return [
            Measure(what="events a second, on disk when acknowledged", unit="k/s", budget=370, more_is_better=True),
            Measure(what="CPU seconds for a million, segments included", unit="s", budget=8),
            Measure(what="bytes of an event in a fresh segment, what lies beside it included", unit="B", budget=84),
            Measure(what="time from append to acknowledged, p99", unit="ms", budget=50),
            Measure(what="most RSS until then", unit="MiB"),
            Measure(what="CPU seconds for a million, to compact them", unit="s", budget=8),
            Measure(what="bytes of an event, compacted, likewise", unit="B", budget=80),
            Measure(what="most RSS, compacting", unit="MiB"),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        given = event_files.events_file(_QUICK if options.quick else _OF)
        events = _QUICK if options.quick else _EVENTS
        text_bytes = event_files.text_bytes(given, events)
        with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
            said = event_files.written(given, Path(directory) / "store", "--first", str(events))
        rate = events / said["appended_s"]
        raw = {**said, "events": events, "text_mb_s": round(text_bytes / said["appended_s"] / 1e6, 1)}
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


PATHS = [
    Keeping(),
    *(
        SteadyPath(
            name=f"event store: fed by a doppler{which}",
            layout=Layout(event_store=True, stamped=stamped),
            rate=50_000,
            budget=8,
            original="",
            only=["event store"],
            memory=True,
        )
        for which, stamped in (("", False), (", times of now", True))
    ),
    *(
        Ceiling(
            name=f"event store: highest rate from a doppler{which}",
            layout=Layout(event_store=True, stamped=stamped),
            original="",
            budget=150,
        )
        for which, stamped in (("", False), (", times of now", True))
    ),
]
