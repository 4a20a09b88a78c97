"""What mypyc makes of a small scan, beside plain Python and the Cython kernel.

`python -m benchmarks.mypyc_scan.compare` compiles `scan.py` in a temporary folder, checks that all say the same, and
prints nanoseconds per envelope. Cited by `docs/decisions/0002-cython-for-the-kernel.md`.
"""

import importlib.util
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.kernel import BATCHES, batches
from benchmarks.mypyc_scan import scan
from benchmarks.workload import BATCH_SIZE
from envelope import _compiled
from envelope.kinds import Kind

REPEATS = 7
PASSES = 20


def compiled_by_mypyc(folder: Path) -> ModuleType:
    """Compile the scan and load what came out."""
    shutil.copy(Path(scan.__file__), folder / "fast_scan.py")
    subprocess.run([sys.executable, "-m", "mypyc", "fast_scan.py"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    library = next(folder.glob("fast_scan.*.so"))
    spec = importlib.util.spec_from_file_location("fast_scan", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def select_logs_with(kernel: ModuleType) -> Callable[[bytes], object]:
    """Keep only the logs of a batch."""
    return lambda batch: kernel.select(batch, int(Kind.LOG))


def ns_per_envelope(call: Callable[[bytes], object], work: list[bytes]) -> float:
    """Median over several repeats."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(PASSES):
            for batch in work:
                call(batch)
        times.append((time.perf_counter() - start) / (PASSES * BATCHES * BATCH_SIZE) * 1e9)
    return statistics.median(times)


def measure() -> list[dict[str, Any]]:
    """Time `spans` and `select` in each of the three."""
    work = batches()
    with tempfile.TemporaryDirectory() as folder:
        kernels: dict[str, ModuleType] = {
            "plain Python": scan,
            "mypyc": compiled_by_mypyc(Path(folder)),
            "Cython": _compiled,
        }
        for kernel in kernels.values():
            assert all(kernel.spans(batch) == _compiled.spans(batch) for batch in work)
            assert all(select_logs_with(kernel)(batch) == select_logs_with(_compiled)(batch) for batch in work)
        return [
            {
                "kernel": name,
                "spans_ns": round(ns_per_envelope(kernel.spans, work)),
                "select_ns": round(ns_per_envelope(select_logs_with(kernel), work)),
            }
            for name, kernel in kernels.items()
        ]


if __name__ == "__main__":
    for row in measure():
        print("{kernel:12}  spans {spans_ns:6,} ns  select {select_ns:6,} ns".format(**row))
