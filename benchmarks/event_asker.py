"""`python -m benchmarks.event_asker FOLDER EVENTS`: ask a store of so many events; queries on stdin, seconds on stdout.

Queries are a list of `[text, repeats, remembers]` in JSON. A time is the median of the repeats, each of an engine that
has never been asked, unless it `remembers`: then it was asked once before. Files are in the page cache.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path

from benchmarks import event_data
from event_store.engine import Engine
from event_store.query.parse import parse
from event_store.query.syntax import Query
from event_store.storage import Reader, Snapshot

_WARM_UP = ("warm-up last 1m | count", "| count by severity")
"""Libraries are loaded, threads run, files are open."""


def main(folder: Path, events: int, key_file: Path | None) -> None:
    """Answer all of them, and say how much memory that took at most."""
    snapshot = Reader.open(folder, key_file=key_file).snapshot()
    opened = _most_rss_mib()
    seconds = [
        _measured(snapshot, text, events, repeats, remembers=remembers)
        for text, repeats, remembers in json.load(sys.stdin)
    ]
    said = {"seconds": seconds, "segments": len(snapshot.segments), "opened_mib": opened, "rss_mib": _most_rss_mib()}
    print(json.dumps(said))


def _measured(snapshot: Snapshot, text: str, events: int, repeats: int, *, remembers: bool) -> float:
    query, took = _parsed(text, events), []
    for _ in range(1 if remembers else repeats):
        with closing(Engine(snapshot.folder)) as engine:
            for warm_up in _WARM_UP:
                engine.run(snapshot, _parsed(warm_up, events))
            took += [_timed(engine, snapshot, query) for _ in range(repeats + 1 if remembers else 1)][remembers:]
    return statistics.median(took)


def _timed(engine: Engine, snapshot: Snapshot, query: Query) -> float:
    began = time.perf_counter()
    engine.run(snapshot, query)
    return time.perf_counter() - began


def _parsed(text: str, events: int) -> Query:
    """Parse a query as of when the events end; without a range it is for all of them."""
    return parse(text, event_data.end_ns(events), events * 1_000_000)


def _most_rss_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
