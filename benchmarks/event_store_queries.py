"""How fast a store of events answers: text, words, lists, figures; and what memory and disk that takes.

The first time an engine is asked, files are in the page cache and nothing is remembered; again, it remembers what it
found in which segment. Rates are of the text of all messages, whether it had to be read or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import event_data, event_files
from benchmarks.options import Options
from benchmarks.rig import Bench
from benchmarks.rows import Measure, Run

_QUICK = 100_000
_EVENTS = 8_000_000
_REPEATS = 3

_RATES = {
    "rare text": f"{event_data.NEEDLE} | count",
    "absent text": "feedfacefeedface | count",
    "regular expression": "/(retried|evicted) id=1[0-9]{3}, (lease|shard)/ | count",
}
_TIMES = {
    "rare whole word": f"has {event_data.NEEDLE} | count",
    "absent whole word": "has feedfacefeedface | count",
    "frequent text, newest 100": "checkpoint | tail 100",
    "one source, 5 minutes, newest 1000": "source:SOURCE last 5m | tail 1000",
    "count by severity per minute": "| count by severity per 1m",
    "figures by tag": "| avg value by app",
    "top paths of failures": "| top 20 path where status >= 500",
    "p99 of a timer": "name:http | p99 duration",
    "last minute, errors by app": "severity:error last 1m | count by app",
}
_BUDGETS_MS = {
    "rare whole word": 30,
    "absent whole word": 30,
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
            Measure(what="most RSS while it is asked", unit="MiB"),
            Measure(what="bytes of an event on disk, all files", unit="B", budget=80 if self.compacted else None),
        ]

    def run(self, bench: Bench, options: Options) -> Run:
        """Measure once."""
        events = _QUICK if options.quick else _EVENTS
        given = event_files.events_file(events)
        folder = bench.directory / f"asked{'-compacted' * self.compacted}"
        if not folder.exists():  # by the first repeat
            event_files.written(given, folder, *["--no-compact"] * (not self.compacted))
        source = next(event_data.batches(event_data.BATCH_EVENTS))["source_id"][0].as_py()
        queries = [
            *((text, 1, False) for text in _RATES.values()),
            *((text, _REPEATS, True) for text in _RATES.values()),
            *((text.replace("SOURCE", source), _REPEATS, False) for text in _TIMES.values()),
        ]
        said = event_files.asked(folder, events, queries)
        first, others = said["seconds"][: len(_RATES)], said["seconds"][len(_RATES) :]
        text_bytes, disk_bytes = event_files.text_bytes(given), event_files.bytes_on_disk(folder)
        values = (
            *(round(text_bytes / seconds / 1e9, 2) for seconds in first),
            *(round(seconds * 1000, 1) for seconds in others),
            said["rss_mib"],
            round(disk_bytes / events, 1),
        )
        raw = {"events": events, "text_bytes": text_bytes, "disk_bytes": disk_bytes, "opened_mib": said["opened_mib"]}
        return Run(values, {**raw, "segments": said["segments"]})


PATHS = [
    Asking(name="event store: ask, as flushed", compacted=False),
    Asking(name="event store: ask, compacted", compacted=True),
]
