"""Lay out what was measured: a table for the terminal, `results.json` to keep, and Markdown for the manual.

`python -m benchmarks.report` prints the Markdown of the results that were kept.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row, Run
from envelope import kernel

RESULTS = Path(__file__).with_name("results.json")
_COLUMNS = ("path", "what", "ours", "budget", "original", "verdict")


@dataclass(frozen=True, slots=True)
class Result:
    """Everything about one path: its rows and the raw figures of each repeat."""

    name: str
    rows: Sequence[Row]
    runs: Sequence[Run]


def machine() -> dict[str, Any]:
    """Say what the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kernel": kernel.ACTIVE,
        **{name: version(name) for name in ("grpcio", "protobuf", "uvloop", "trio", "websockets")},
    }


def print_rows(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the table of all paths."""
    table = Table(*_COLUMNS, box=box.SIMPLE_HEAD)
    path = ""
    for row in rows:
        shown = _cells(row)
        table.add_row(row["path"] if row["path"] != path else "", *shown, style=_style(row["verdict"]))
        path = row["path"]
    console.print(table)


def print_functions(console: Console, functions: Sequence[Mapping[str, Any]]) -> None:
    """Print the table of the kernel's functions, whatever figures come with them."""
    if functions:
        table = Table(*functions[0], box=box.SIMPLE_HEAD)
        for function in functions:
            table.add_row(
                *(f"{value:,}" if isinstance(value, (int, float)) else str(value) for value in function.values())
            )
        console.print(table)


def print_remarks(console: Console, results: Sequence[Result]) -> None:
    """Print what no row of the table says: what limits a path, and the processes of the soak."""
    for result in results:
        bounds = [run.raw["bound_by"] for run in result.runs if "bound_by" in run.raw]
        for bound in bounds:
            console.print(f"{result.name}: stopped by {bound}")
        for run in result.runs:
            if "rss_mib" in run.raw and isinstance(run.raw["rss_mib"], list):
                _print_soak(console, run.raw)


def write(
    out: Path, results: Sequence[Result], functions: Sequence[Mapping[str, Any]], about: Mapping[str, Any]
) -> None:
    """Keep the results; those of paths not measured this time stay as they are, with their own date and machine."""
    kept: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    paths = kept.get("paths", {})
    for result in results:
        runs = [{**run.raw, **({"problem": run.problem} if run.problem else {})} for run in result.runs]
        paths[result.name] = {**about, "rows": [row.as_dict() for row in result.rows], "runs": runs}
    kept["paths"] = paths
    if functions:
        kept["kernel"] = {**about, "functions": list(functions)}
    out.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Make the table of all paths for the manual."""
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|"]
    lines += ["| " + " | ".join([row["path"], *_cells(row)]) + " |" for row in rows]
    return "\n".join(lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    ours = f"{row['median']:g} {row['unit']}".strip()
    if len(row["values"]) > 1:
        ours += f" ({row['min']:g}–{row['max']:g})"
    sign = "≥" if row["more_is_better"] else "≤"
    budget = "" if row["budget"] is None else f"{sign} {row['budget']:g}"
    return [row["what"], ours, budget, row["original"], row["verdict"]]


def _style(verdict: str) -> str:
    return {"kept": "green", "": "none"}.get(verdict, "red")


def _print_soak(console: Console, raw: Mapping[str, Any]) -> None:
    looks = raw["rss_mib"]
    table = Table("process", "CPU-s/M", *(f"{look['at_s']:g} s" for look in looks), box=box.SIMPLE_HEAD, title="MiB")
    for name, cost in raw["cpu_s_per_million"].items():
        table.add_row(name, f"{cost:g}", *(f"{look[name]:g}" for look in looks))
    console.print(table)


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return next(
        (line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "unknown"
    )


def main() -> None:
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))
    print(markdown([row for path in kept["paths"].values() for row in path["rows"]]))


if __name__ == "__main__":
    main()
