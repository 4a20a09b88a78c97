"""`python -m benchmarks`: measure every path, print the table, keep the results."""

from __future__ import annotations

import importlib
import signal
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from benchmarks import (
    ceiling,
    datagrams,
    drains,
    event_ingest,
    event_recovery,
    event_sealing,
    event_store,
    event_store_queries,
    idle,
    latency,
    log_cache,
    nozzles,
    pipeline,
    soak,
    spool,
)
from benchmarks.options import Options
from benchmarks.processes import BenchmarkError
from benchmarks.report import RESULTS, Result, machine, print_functions, print_remarks, print_rows, write
from benchmarks.rig import Bench
from benchmarks.rows import Measure, Run, rows_of

KERNEL = "kernel"


class Case(Protocol):
    """One thing to measure."""

    @property
    def name(self) -> str:
        """What `--only` looks for."""

    @property
    def measures(self) -> Sequence[Measure]:
        """What each run gives a value for."""

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""


CASES: Sequence[Case] = (
    *pipeline.PATHS,
    *ceiling.PATHS,
    *datagrams.PATHS,
    *latency.PATHS,
    *idle.PATHS,
    *log_cache.PATHS,
    *nozzles.PATHS,
    *drains.PATHS,
    *spool.PATHS,
    *event_store.PATHS,
    *event_store_queries.PATHS,
    *event_ingest.PATHS,
    *event_sealing.PATHS,
    *event_recovery.PATHS,
    *soak.PATHS,
)


def main() -> int:
    """Measure what is asked for; returns 1 if a run could not be made. A missed budget is no failure."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave in good order: the processes must be ended
    given = _arguments()
    options = Options(
        quick=given.quick,
        seconds=given.seconds or (3.0 if given.quick else 20.0),
        repeats=given.repeats or (1 if given.quick else 3),
    )
    console = Console(stderr=False, width=None if sys.stdout.isatty() else 180)
    cases = [case for case in CASES if given.only in case.name]
    with tempfile.TemporaryDirectory(prefix="standpipe-benchmarks-") as directory:
        bench = Bench(Path(directory), acks=given.acks)
        bench.prepare()
        runs, failures = _measure(cases, bench, options, console)
    results = [
        Result(case.name, rows_of(case.name, case.measures, runs[case.name]), runs[case.name])
        for case in cases
        if runs[case.name]
    ]
    functions = _functions() if given.only in KERNEL else []
    _show(console, results, functions)
    out = given.out or (None if given.quick else RESULTS)
    if out is not None:
        write(out, results, functions, _about(given, options))
        console.print(f"written to {out}")
    return 1 if failures else 0


def _measure(
    cases: Sequence[Case], bench: Bench, options: Options, console: Console
) -> tuple[Mapping[str, list[Run]], int]:
    """Run each case in turn, then all again: what disturbs the machine for a while disturbs one repeat of several."""
    runs: dict[str, list[Run]] = {case.name: [] for case in cases}
    failures = 0
    for repeat in range(options.repeats):
        for case in cases:
            console.print(f"{repeat + 1}/{options.repeats} {case.name} …", end=" ")
            try:
                run = case.run(bench, options)
            except BenchmarkError as error:
                failures += 1
                console.print(f"failed: {error}", markup=False)
                continue
            runs[case.name].append(run)
            console.print(*run.values, run.problem)
    return runs, failures


def _functions() -> list[dict[str, Any]]:
    """Time the kernel's functions alone, where there is a compiled kernel to be compared."""
    try:
        alone = importlib.import_module("benchmarks.kernel")
    except ImportError:
        return []
    rows: list[dict[str, Any]] = alone.measure()
    return rows


def _show(console: Console, results: Sequence[Result], functions: Sequence[Mapping[str, Any]]) -> None:
    print_rows(console, [row.as_dict() for result in results for row in result.rows])
    print_remarks(console, results)
    print_functions(console, functions)


def _about(given: Namespace, options: Options) -> dict[str, Any]:
    return {
        "date": given.date,
        "machine": machine(),
        "options": {
            "quick": options.quick,
            "seconds": options.seconds,
            "repeats": options.repeats,
            "acknowledged_ingress": given.acks,
        },
    }


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, once: shows that all works, and little more")
    parser.add_argument("--only", default="", metavar="PATTERN", help="only the paths whose name contains this")
    parser.add_argument("--repeats", type=int, help="how often each path is measured (3)")
    parser.add_argument("--seconds", type=float, help="how long each steady load is measured (20)")
    parser.add_argument("--acks", action="store_true", help="let the load generator ask for acknowledgements")
    parser.add_argument("--out", type=Path, help=f"where to keep the results ({RESULTS.name}; with --quick: nowhere)")
    parser.add_argument("--date", default=datetime.now(UTC).date().isoformat(), help="the date to write down (today)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
