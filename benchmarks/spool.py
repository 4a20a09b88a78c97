"""How fast a spool takes batches, and how fast it gives them back: `python -m benchmarks.spool`."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from plumbing.spool import Frame, Spool

_SIZES = (50_000, 256_000)
_AT_ONCE = 16
_TOTAL_BYTES = 512 << 20
_READ_BYTES = 1 << 20


def main() -> int:
    """Print megabytes a second for each size of batch."""
    for size in _SIZES:
        with (
            tempfile.TemporaryDirectory(prefix="standpipe-spool-") as directory,
            closing(Spool.open(Path(directory), max_bytes=2 * _TOTAL_BYTES)) as spool,
        ):
            put, read = _put(spool, size), _read(spool)
        print(f"{size:>8,} bytes a batch: put {put:>6,.0f} MB/s, read and commit {read:>6,.0f} MB/s")
    return 0


def _put(spool: Spool, size: int) -> float:
    frames = [Frame(bytes([number]) * size, 100) for number in range(_AT_ONCE)]
    rounds = _TOTAL_BYTES // (size * _AT_ONCE)
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


if __name__ == "__main__":
    sys.exit(main())
