"""Queries while events come in, against the same ones when none do; and how soon another process sees an event."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import event_files
from benchmarks.event_busy_store import QUERIES
from benchmarks.options import Options
from benchmarks.processes import BenchmarkError
from benchmarks.rig import Bench
from benchmarks.rows import Measure, Run
from event_store.storage import Reader, Snapshot

_RATE = 100_000
_LOOK_S = 0.01
_LATE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A store that holds a million events is asked by its own process, which appends 100,000 a second meanwhile."""

    name: str = "event store: ask during ingest at 100 k/s"

    @property
    def measures(self) -> Sequence[Measure]:
        return [
            *(Measure(what=f"{what}: times as slow as without", unit="x", budget=2) for what in QUERIES),
            *(Measure(what=f"{what}, during", unit="ms") for what in QUERIES),
            Measure(what="acknowledged until another process can query it, p99", unit="ms", budget=50),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        held, added = (200_000, 300_000) if options.quick else (1_000_000, int(_RATE * options.seconds))
        given = event_files.events_file(held + added)
        with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
            folder = Path(directory) / "store"
            event_files.written(given, folder, "--no-compact", "--first", str(held))
            said, looks = _asked(given, folder, held)
        quiet = {what: (said["before"][what] + said["after"][what]) / 2 for what in QUERIES}
        fresh = sorted(_seen_after(at, end, looks) for at, end in said.pop("acknowledged"))
        values = (
            *(round(said["during"][what] / quiet[what], 2) for what in QUERIES),
            *(round(said["during"][what] * 1000, 1) for what in QUERIES),
            round(fresh[len(fresh) * 99 // 100] * 1000, 1),
        )
        problem = f"the writer was {said['late_s']:.1f} s late" if said["late_s"] > _LATE_S else ""
        return Run(values, {**said, "held": held, "added": added, "looks": len(looks)}, problem)


def _asked(given: Path, folder: Path, held: int) -> tuple[dict[str, Any], list[tuple[int, float]]]:
    """Run the one who is asked; look into its folder meanwhile: what was there to be queried, and when."""
    flags = [str(given), str(folder), "--held", str(held), "--rate", str(_RATE)]
    reader, looks = Reader.open(folder), []
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        command = [sys.executable, "-m", "benchmarks.event_busy_store", *flags]
        with subprocess.Popen(command, stdout=output, stderr=errors) as busy:
            while busy.poll() is None:
                end = _end(reader.snapshot())
                looks.append((end, time.monotonic()))
                time.sleep(_LOOK_S)
        output.seek(0)
        errors.seek(0)
        if busy.returncode:
            raise BenchmarkError(f"the store that is asked ended: {errors.read()[-500:].decode()}")
        return json.loads(output.read()), looks


def _end(snapshot: Snapshot) -> int:
    """The place behind the last event."""
    if snapshot.hot:
        return int(snapshot.hot[-1]["seq"][-1].as_py()) + 1
    return max((segment.max_seq + 1 for segment in snapshot.segments), default=0)


def _seen_after(at: float, end: int, looks: list[tuple[int, float]]) -> float:
    """How long after it was acknowledged a look was over that showed it."""
    place = bisect_left(looks, (end, 0.0))
    return max(0.0, looks[min(place, len(looks) - 1)][1] - at)


PATHS = [Asking()]
