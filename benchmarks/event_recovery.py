"""How long an event store takes to be there again: with an empty log, and killed with a log that is full."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks import event_files
from benchmarks.options import Options
from benchmarks.processes import Component
from benchmarks.rig import Bench, Layout, Rig
from benchmarks.rows import Measure, Run
from event_store.storage import StorageSettings
from plumbing.tls import TlsFiles

_QUICK = 100_000
_KEPT = 1_000_000
_NOBODY = "127.0.0.1:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovering:
    """A store that holds a million events in segments is started, without Dopplers."""

    name: str = "event store: started again"

    @property
    def measures(self) -> Sequence[Measure]:
        return [
            Measure(what="from its start until it serves, the log empty", unit="s", budget=2),
            Measure(what="after kill -9 with a full log: until it serves, but for the replay", unit="s", budget=2),
            Measure(what="the replay", unit="s"),
            Measure(what="events of the log replayed a second", unit="k/s"),
            Measure(what="memory then", unit="MiB"),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        given = event_files.events_file(_QUICK if options.quick else _KEPT)
        logged = min(_QUICK, StorageSettings().flush_rows) if options.quick else StorageSettings().flush_rows
        with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
            folder = Path(directory) / "store"
            event_files.written(given, folder, "--no-compact")
            empty_s, *_ = _started(bench, folder)
            flags = [str(given), str(folder), "--first", str(logged), "--no-flush"]
            said = event_files.program("event_writer", *flags, ended=-signal.SIGKILL)
            ready_s, replay_s, rss_mib = _started(bench, folder)
        values = (empty_s, ready_s - replay_s, replay_s, logged / replay_s / 1000, rss_mib)
        return Run([round(value, 2) for value in values], {"logged": logged, **said})


def _started(bench: Bench, folder: Path) -> tuple[float, float, float]:
    """Start it, and kill it: until it served, what of that was opening its folder, and its memory."""
    files = TlsFiles.named(bench.certs, "event-store")
    flags = ["--tls-ca", str(files.ca), "--tls-cert", str(files.cert), "--tls-key", str(files.key)]
    flags += ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--auth.tokens-dir", str(bench.tokens)]
    flags += ["--doppler-addresses", _NOBODY, "--data-dir", str(folder), "--storage.flush-s", "3600"]
    rig = Rig(bench, Layout(dopplers=0))
    began = time.perf_counter()
    with closing(Component("event store", "event_store", flags, bench.directory / "started_again.log")) as component:
        ready_s = time.perf_counter() - began
        rig.components["event store"] = component
        recovery_s = rig.metric("event store", "event_store_recovery_s")
        return ready_s, recovery_s, component.use().rss_bytes / 2**20


PATHS = [Recovering()]
