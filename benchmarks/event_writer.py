"""`python -m benchmarks.event_writer EVENTS FOLDER`: append batches to a store, compact it, and say what it took."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.event_files import bytes_on_disk, read
from event_store.storage import StorageSettings, Store


def main() -> None:
    """Append all, flushing beside it; flush what is left, and compact it."""
    given = _arguments()
    store = Store.open(given.folder, StorageSettings(key_file=given.key_file, remove_after_s=0))
    said = _keep(store, given)
    if given.compact:
        used = time.process_time()
        store.compact(everything=True)
        said |= {"compact_cpu_s": time.process_time() - used, "compact_rss_mib": _most_rss_mib()}
        said |= {"compacted_bytes": bytes_on_disk(given.folder / "segments")}
    store.close()
    print(json.dumps(said))


def _keep(store: Store, given: Namespace) -> dict[str, Any]:
    flushing: Future[None] | None = None
    took: list[float] = []
    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(1) as beside:
        for batch in read(given.events, given.first):
            start = time.perf_counter()
            store.append([batch], bytes(80))
            took.append(time.perf_counter() - start)
            if given.flush and store.flush_due() and (flushing is None or flushing.done()):
                flushing = beside.submit(store.flush)
    appended = time.perf_counter() - began
    if not given.flush:
        sys.stdout.write(json.dumps({"wal_bytes": store.stats().wal_bytes}))
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if flushing is not None:
        flushing.result()
    store.flush()
    took.sort()
    return {
        "seconds": time.perf_counter() - began,
        "appended_s": appended,
        "cpu_s": time.process_time() - used,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "max_ms": took[-1] * 1000,
        "segment_bytes": bytes_on_disk(given.folder / "segments"),
        "segments": store.stats().segments,
        "rss_mib": _most_rss_mib(),
    }


def _most_rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.event_writer")
    parser.add_argument("events", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, help="only so many of the events")
    parser.add_argument("--key-file", type=Path, help="seal them")
    parser.add_argument("--no-compact", dest="compact", action="store_false")
    parser.add_argument("--no-flush", dest="flush", action="store_false", help="leave all in the log, and be killed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
