"""`python -m benchmarks.event_writer EVENTS FOLDER`: append batches to a store, compact it, and say what it took."""

from __future__ import annotations

import json
import resource
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from event_store.storage import StorageSettings, Store


def main(events: Path, folder: Path) -> None:
    """Append all, flushing beside it; flush what is left, and compact it."""
    store = Store.open(folder, StorageSettings())
    flushing: Future[None] | None = None
    took: list[float] = []
    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(1) as beside, events.open("rb") as file:
        size = events.stat().st_size
        while file.tell() < size:
            with pa.ipc.open_stream(file) as reader:
                batch = reader.read_next_batch()
                for _ in reader:  # to where the next one begins
                    pass
            start = time.perf_counter()
            store.append([batch], bytes(80))
            took.append(time.perf_counter() - start)
            if store.flush_due() and (flushing is None or flushing.done()):
                flushing = beside.submit(store.flush)
    appended = time.perf_counter() - began
    if flushing is not None:
        flushing.result()
    store.flush()
    took.sort()
    said = {
        "seconds": time.perf_counter() - began,
        "appended_s": appended,
        "cpu_s": time.process_time() - used,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "max_ms": took[-1] * 1000,
        "segment_bytes": store.stats().segment_bytes,
        "segments": store.stats().segments,
        "rss_mib": _most_rss_mib(),
    }
    used = time.process_time()
    store.compact(everything=True)
    said |= {"compact_cpu_s": time.process_time() - used, "compacted_bytes": store.stats().segment_bytes}
    said |= {"compact_rss_mib": _most_rss_mib()}
    store.close()
    print(json.dumps(said))


def _most_rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
