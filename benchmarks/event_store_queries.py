"""How fast a store of events answers: text, lists, figures.

The first time an engine is asked, files are in the page cache and nothing is remembered; again, it remembers what it
found in which segment. Rates are of the text of all messages, whether it had to be read or not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from benchmarks import event_data
from benchmarks.options import Options
from benchmarks.rig import Bench
from benchmarks.rows import Measure, Run
from event_store.engine import Engine
from event_store.query.parse import parse
from event_store.storage import Snapshot, StorageSettings, Store

_QUICK = 100_000
_EVENTS = 1_000_000
_NEEDLES = 21
_NEEDLE = "deadbeefcafe"
_REPEATS = 3

_RATES = {
    "rare text": f"{_NEEDLE} | count",
    "absent text": "feedfacefeedface | count",
    "regular expression": "/(retried|evicted) id=1[0-9]{3}, (lease|shard)/ | count",
}
_TIMES = {
    "frequent text, newest 100": "checkpoint | tail 100",
    "one source, 5 minutes, newest 1000": "source:SOURCE last 5m | tail 1000",
    "count by severity per minute": "| count by severity per 1m",
    "figures by tag": "| avg value by app",
    "top paths of failures": "| top 20 path where status >= 500",
    "p99 of a timer": "name:http | p99 duration",
    "last minute, errors by app": "severity:error last 1m | count by app",
}
_BUDGETS_MS = {
    "frequent text, newest 100": 150,
    "one source, 5 minutes, newest 1000": 20,
    "last minute, errors by app": 10,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Queries of the language, one after the other."""

    name: str
    compacted: bool
    """Events lie in order of source and time, not as they came."""

    @property
    def measures(self) -> Sequence[Measure]:
        rates = [("first", budget) for budget in (2.0, 2.0, 1.5)]
        return [
            *(
                Measure(what=f"{what}, {when}", unit="GB/s", budget=budget, more_is_better=True)
                for what, (when, budget) in zip(_RATES, rates, strict=True)
            ),
            *(Measure(what=f"{what}, again", unit="ms", budget=30) for what in _RATES),
            *(Measure(what=what, unit="ms", budget=_BUDGETS_MS.get(what, 150)) for what in _TIMES),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        events = _QUICK if options.quick else _EVENTS
        folder = bench.directory / f"asked-{events}{'-compacted' * self.compacted}"
        text_bytes = _keep(folder, events, compacted=self.compacted)
        with closing(Store.open(folder, StorageSettings())) as store:
            snapshot = store.snapshot()
            first = _measured(snapshot, events, _RATES, repeats=1)
            again = _measured(snapshot, events, _RATES, repeats=_REPEATS, remembers=True)
            times = _measured(snapshot, events, _TIMES, repeats=_REPEATS)
        rates = {what: text_bytes / seconds / 1e9 for what, seconds in first.items()}
        values = (
            *(round(rate, 2) for rate in rates.values()),
            *(round(seconds * 1000, 1) for seconds in (*again.values(), *times.values())),
        )
        return Run(values, {"events": events, "text_bytes": text_bytes, "segments": len(snapshot.segments)})


def _measured(
    snapshot: Snapshot, events: int, texts: Mapping[str, str], *, repeats: int, remembers: bool = False
) -> Mapping[str, float]:
    """Time each query: the median of so many, of engines that have never been asked it unless it `remembers`."""
    source = next(event_data.batches(1))["source_id"][0].as_py()
    end_ns, span_ns = _end_ns(events), events * 1_000_000
    found = {}
    for what, text in texts.items():
        query = parse(text.replace("SOURCE", source), end_ns, span_ns)
        with closing(Engine(snapshot.folder)) as engine:
            engine.run(snapshot, parse("warm-up | count", end_ns, span_ns))  # files are open, and Polars runs
            took = [
                _timed(lambda engine=engine, query=query: engine.run(snapshot, query))
                for _ in range(repeats + remembers)
            ]
        found[what] = statistics.median(took[remembers:])
    return found


def _end_ns(events: int) -> int:
    return event_data.START_NS + events * 900_000


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _keep(folder: Path, events: int, *, compacted: bool) -> int:
    """Keep the events in `folder`, if they are not there already; return how much text they have."""
    written = folder.with_suffix(".bytes")
    if not written.exists():
        text_bytes = 0
        with closing(Store.open(folder, StorageSettings())) as store:
            for batch in _with_needles(event_data.batches(events)):
                text_bytes += batch.column("message").nbytes
                store.append([batch])
                if store.flush_due():
                    store.flush()
            store.flush()
            if compacted:
                store.compact(_end_ns(events), everything=True)
        written.write_text(str(text_bytes))
    return int(written.read_text())


def _with_needles(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Put the rare text into the first messages of the first batch."""
    for number, batch in enumerate(batches):
        if number == 0:
            place = batch.schema.get_field_index("message")
            messages = batch.column(place).to_pylist()
            logs = [row for row, message in enumerate(messages) if message is not None][:_NEEDLES]
            for row in logs:
                messages[row] += f" {_NEEDLE}"
            batch = batch.set_column(place, "message", pa.array(messages, pa.string()))
        yield batch


PATHS = [
    Asking(name="event store: ask, as flushed", compacted=False),
    Asking(name="event store: ask, compacted", compacted=True),
]
