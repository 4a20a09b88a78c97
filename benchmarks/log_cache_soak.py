"""A log cache under load for ten minutes: does it stay within its memory, and is every envelope held or counted?

`make soak` runs it: 50,000 envelopes a second by `Send`, a limit of 1 GiB, a look every ten seconds. It ends with 1 if
memory went beyond the limit or kept growing once the limit was reached, or if anything was lost. Each look reads a
thousand envelopes ten times, and shows how long the slowest took; what a read may take is measured by `make bench`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.rig import Bench, Layout, Rig, open_rig
from benchmarks.workload import source_ids

_VARIED = 2_000
_READS = 10
_FLAT = 0.05  # growth of memory that is none


class Look(NamedTuple):
    """One moment."""

    at_s: float
    rss_mib: float
    peak_mib: float
    held: int
    expired: int
    received: int
    cpu_s: float
    slowest_read_ms: float


def main() -> int:
    """Soak once; returns 1 if it did not go well, and says why."""
    given = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 140)
    layout = Layout(dopplers=0, log_cache=True, batches=_VARIED, stamped=True, memory_limit_mib=given.limit_mib)
    with tempfile.TemporaryDirectory(prefix="standpipe-soak-") as directory:
        bench = Bench(Path(directory))
        bench.prepare()
        with open_rig(bench, layout) as rig:
            total = rig.send(given.rate, given.minutes * 60)
            looks = list(_looks(rig, given, console))
            rig.wait_until_sent(time.monotonic() + 60)
            received = rig.wait_until_received(total, time.monotonic() + 10)
            imbalance = rig.imbalance()
    problems = list(_problems(looks, given, total - received, imbalance))
    console.print(_table(looks))
    console.print(
        f"{received:,} of {total:,} envelopes; {'; '.join(problems) or 'within the limit, flat, nothing lost'}"
    )
    return 1 if problems else 0


def _looks(rig: Rig, given: Namespace, console: Console) -> Iterator[Look]:
    start = time.monotonic()
    path = f"/api/v1/read/{source_ids()[0]}?limit=1000&descending=true"
    for number in range(1, round(given.minutes * 60 / given.every_s) + 1):
        time.sleep(max(0.0, start + number * given.every_s - time.monotonic()))
        read = rig.workers["client"].ask("ask", path=path, times=_READS)
        use = rig.snapshot().uses["log cache"]
        look = Look(
            at_s=round(time.monotonic() - start, 1),
            rss_mib=round(use.rss_bytes / 2**20, 1),
            peak_mib=round(_peak_bytes(rig) / 2**20, 1),
            held=int(rig.metric("log cache", "log_cache_envelopes_held")),
            expired=int(rig.metric("log cache", "log_cache_envelopes_expired_total")),
            received=rig.received(),
            cpu_s=use.cpu_s,
            slowest_read_ms=read["p99_ms"],
        )
        console.print(f"{look.at_s:g} s: {look.rss_mib:g} MiB, {look.held:,} held, {look.expired:,} expired")
        yield look


def _peak_bytes(rig: Rig) -> int:
    """The most that was ever resident, by the kernel's count."""
    status = Path(f"/proc/{rig.components['log cache'].pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def _problems(looks: Sequence[Look], given: Namespace, lost: int, imbalance: int) -> Iterator[str]:
    if lost or imbalance:
        yield f"{lost} envelopes did not arrive, the books are {imbalance} out"
    if looks[-1].peak_mib > given.limit_mib:
        yield f"memory went to {looks[-1].peak_mib:g} MiB, beyond {given.limit_mib}"
    full = [look for look in looks if look.expired]
    if full and full[-1].rss_mib > full[0].rss_mib * (1 + _FLAT):
        yield f"memory grew from {full[0].rss_mib:g} to {full[-1].rss_mib:g} MiB after it was full"


def _table(looks: Sequence[Look]) -> Table:
    table = Table(*Look._fields)
    for look in looks:
        table.add_row(*(f"{value:,}" for value in look))
    return table


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.log_cache_soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=50_000.0, help="envelopes a second")
    parser.add_argument("--limit-mib", type=int, default=1024, help="of memory")
    parser.add_argument("--every-s", type=float, default=10.0, help="between two looks")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
