"""How fast a spool takes batches, and how fast it gives them back."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.options import Options
from benchmarks.rig import Bench
from benchmarks.rows import Measure, Run
from plumbing.spool import Frame, Spool

_AT_ONCE = 16
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooling:
    """Batches of one size, in and out."""

    name: str
    size: int

    @property
    def measures(self) -> Sequence[Measure]:
        whats = ("written", "read and removed")
        return [
            Measure(what=f"megabytes a second {what}", unit="MB/s", budget=300, more_is_better=True) for what in whats
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        total = (64 if options.quick else 512) << 20
        with (
            tempfile.TemporaryDirectory(dir=bench.directory) as directory,
            closing(Spool.open(Path(directory), max_bytes=2 * total)) as spool,
        ):
            put = _put(spool, self.size, total)
            read = _read(spool)
        return Run([round(put), round(read)], {"bytes": total})


def _put(spool: Spool, size: int, total: int) -> float:
    frames = [Frame(bytes([number]) * size, 100) for number in range(_AT_ONCE)]
    rounds = total // (size * _AT_ONCE)
    began = time.perf_counter()
    for _ in range(rounds):
        spool.put(frames)
    return rounds * size * _AT_ONCE / (time.perf_counter() - began) / 1e6


def _read(spool: Spool) -> float:
    read = 0
    began = time.perf_counter()
    while kept := spool.read(_READ_BYTES):
        read += sum(len(one.batch) for one in kept)
        spool.commit(kept[-1].seq)
    return read / (time.perf_counter() - began) / 1e6


PATHS = [
    Spooling(name="spool, batches of 50 kB", size=50_000),
    Spooling(name="spool, batches of 256 kB", size=256_000),
]
