"""`python -m benchmarks.event_busy_store EVENTS FOLDER`: a store is asked the same before, during and after ingest.

In a thread batches are appended at a steady rate, in others they are flushed and compacted, as the component does.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa

from benchmarks import event_data
from benchmarks.event_files import read
from event_store.engine import Engine
from event_store.query.parse import parse
from event_store.storage import StorageSettings, Store

QUERIES = {
    "text that is nowhere": "absentNUMBER | count",
    "count by severity per minute": "| count by severity per 1m",
    "top paths of failures": "| top 20 path where status >= 500",
    "one source, 5 minutes, newest 1000": "source:SOURCE last 5m | tail 1000",
    "last minute, errors by app": "severity:error last 1m | count by app",
}
_COMPACT_S = 10.0


class Busy:
    """A store, and who writes to it."""

    def __init__(self, store: Store, events: int) -> None:
        self.store = store
        self.events = events
        """How many it has."""
        self.acknowledged: list[tuple[float, int]] = []
        """When, by the machine's monotonic clock, and up to which place."""
        self.late_s = 0.0
        """How far behind its rate the writer was at the end."""

    @contextmanager
    def ingest(self, batches: Iterable[pa.RecordBatch], rate: float) -> Iterator[threading.Thread]:
        """Append at a rate for the time of the block, which waits for the end of it."""
        over = threading.Event()
        writer = threading.Thread(target=self._append, args=(batches, rate))
        others = [threading.Thread(target=work, args=(over,)) for work in (self._flush, self._compact)]
        for thread in (writer, *others):
            thread.start()
        try:
            yield writer
        finally:
            writer.join()
            over.set()
            for thread in others:
                thread.join()

    def _append(self, batches: Iterable[pa.RecordBatch], rate: float) -> None:
        due = time.monotonic()
        for batch in batches:
            time.sleep(max(0.0, due - time.monotonic()))
            end = self.store.append([batch], bytes(80))
            self.acknowledged.append((time.monotonic(), end))
            self.events += batch.num_rows
            due += batch.num_rows / rate
        self.late_s = max(0.0, time.monotonic() - due)

    def _flush(self, over: threading.Event) -> None:
        while not over.wait(0.5):
            if self.store.flush_due():
                self.store.flush()

    def _compact(self, over: threading.Event) -> None:
        while not over.wait(_COMPACT_S):
            self.store.compact()


class Asker:
    """Asks one query after the other, of an engine that remembers what it can."""

    def __init__(self, busy: Busy) -> None:
        self._busy = busy
        self._engine = Engine(busy.store.folder)
        self._source = str(next(event_data.batches(event_data.BATCH_EVENTS))["source_id"][0].as_py())
        self._asked = 0

    def round(self) -> Mapping[str, float]:
        """Ask each once: how long it took."""
        return {what: self._timed(text) for what, text in QUERIES.items()}

    def close(self) -> None:
        self._engine.close()

    def _timed(self, text: str) -> float:
        self._asked += 1
        text = text.replace("SOURCE", self._source).replace("NUMBER", str(self._asked))
        began = time.perf_counter()
        now_ns = event_data.end_ns(self._busy.events)
        self._engine.run(self._busy.store.snapshot(), parse(text, now_ns, self._busy.events * 1_000_000))
        return time.perf_counter() - began


def main() -> None:
    """Ask, ingest and ask, ask; say the median of each, in seconds."""
    given = _arguments()
    fresh = (batch for place, batch in enumerate(read(given.events)) if place * event_data.BATCH_EVENTS >= given.held)
    with closing(Store.open(given.folder, StorageSettings())) as store:
        busy = Busy(store, given.held)
        with closing(Asker(busy)) as asker:
            asker.round()
            before = [asker.round() for _ in range(given.rounds)]
            with busy.ingest(fresh, given.rate) as writer:
                during = []
                while writer.is_alive():
                    during.append(asker.round())
            after = [asker.round() for _ in range(given.rounds)]
    said = {name: _medians(rounds) for name, rounds in (("before", before), ("during", during), ("after", after))}
    print(json.dumps({**said, "rounds": len(during), "late_s": busy.late_s, "acknowledged": busy.acknowledged}))


def _medians(rounds: list[Mapping[str, float]]) -> Mapping[str, float]:
    return {what: statistics.median(each[what] for each in rounds) for what in QUERIES}


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.event_busy_store")
    parser.add_argument("events", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--held", type=int, required=True, help="so many of the events are in the folder already")
    parser.add_argument("--rate", type=float, required=True, help="at which the others are appended")
    parser.add_argument("--rounds", type=int, default=10, help="of queries before, and after")
    return parser.parse_args()


if __name__ == "__main__":
    main()
