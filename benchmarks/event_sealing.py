"""What it costs to seal events: kept and read again, sealed and open by turns."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import event_files
from benchmarks.options import Options
from benchmarks.rig import Bench
from benchmarks.rows import Measure, Run

_QUICK = 200_000
_EVENTS = 1_000_000
_TURNS = 3
_QUERIES = {
    "text that is nowhere": "feedfacefeedface | count",
    "count by severity per minute": "| count by severity per 1m",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """The same events in two stores, one with a key; the least of each figure counts."""

    name: str = "event store: sealed, against open"

    @property
    def measures(self) -> Sequence[Measure]:
        return [
            Measure(what="more CPU to keep them, segments included", unit="%", budget=5),
            Measure(what="more CPU to compact them", unit="%", budget=5),
            *(Measure(what=f"more time for {what}", unit="%") for what in _QUERIES),
            Measure(what="more bytes in segments", unit="%"),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        events = _QUICK if options.quick else _EVENTS
        given = event_files.events_file(events)
        opened, sealed = [], []
        with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
            key = Path(directory) / "key"
            key.touch(mode=0o600)
            key.write_text(secrets.token_hex(32))
            for turn in range(1 if options.quick else _TURNS):
                opened.append(_turn(given, events, Path(directory) / f"open-{turn}", None))
                sealed.append(_turn(given, events, Path(directory) / f"sealed-{turn}", key))
        least = [[min(turn[name] for turn in turns) for name in opened[0]] for turns in (opened, sealed)]
        more = [round((with_key / without - 1) * 100, 1) for without, with_key in zip(*least, strict=True)]
        return Run(more, {"events": events, "open": opened, "sealed": sealed})


def _turn(given: Path, events: int, folder: Path, key: Path | None) -> Mapping[str, float]:
    kept = event_files.written(given, folder, *(["--key-file", str(key)] if key else []))
    queries = [(text, 3, False) for text in _QUERIES.values()]
    found = event_files.asked(folder, events, queries, *([str(key)] if key else []))
    return {
        "cpu_s": kept["cpu_s"],
        "compact_cpu_s": kept["compact_cpu_s"],
        **dict(zip(_QUERIES, found["seconds"], strict=True)),
        "bytes": kept["compacted_bytes"],
    }


PATHS = [Sealing()]
