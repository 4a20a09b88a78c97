"""Random queries over stores of any layout: the engine answers what plain Python does, however often it is asked."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_store.engine import Engine, listing, reading, run, scanning
from event_store.model import RAW_MESSAGE
from event_store.query.syntax import Query
from event_store.query.writing import format_query
from event_store.storage import Segment, Snapshot
from event_store.storage.crypto import Keyring
from event_store.storage.parquet import Layout
from event_store.storage.schema import arrow_type
from event_store.storage.segments import table_of as joined
from event_store.storage.segments import write
from tests.event_store_oracle import evaluate
from tests.event_store_queries import Maker, makers, table_of
from tests.unit.event_store.engine.stores import rows

KEYS = Keyring([b"k" * 32])
BOUNDS: tuple[tuple[Any, str, tuple[Any, ...]], ...] = (
    (reading, "_MOST_HELD", (0, 100, 4 << 20)),
    (scanning, "_FEW", (0, 1, 8)),
    (scanning, "_PART", (1, 4)),
    (scanning, "_MOST_RANGES", (1, 64)),
    (run, "_MOST_PLACES", (3, 4_000_000)),
    (run, "_MOST_HELD", (0, 300, 32 << 20)),
    (listing, "_GLIMPSES", ((64, 8), (8, 2))),
)
"""What decides which way a query goes: small stores go all of them."""


class Layouts:
    """Lays events out as a store may have them, made up from one seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._keys = self._random.choice((None, None, KEYS))

    def snapshot(self, table: pa.Table) -> Snapshot:
        """Split a table: up to a dozen segments, as they came or by time, and some batches in memory."""
        count = self._random.choice((1, 1, 3, 12))
        if self._random.random() < 0.5:
            table = table.sort_by([("time", "ascending"), ("seq", "ascending")])
        cuts = sorted(self._random.randint(0, table.num_rows) for _ in range(count + 2))
        parts = [table.slice(first, end - first) for first, end in pairwise((0, *cuts, table.num_rows))]
        parts = [part for part in parts if part.num_rows]
        segments = [self._segment(part) for part in parts[:count]]
        hot = tuple(_dense(part.sort_by("seq")) for part in parts[count:])
        return Snapshot(self._folder, 1, tuple(sorted(segments, key=lambda one: one.max_time)), hot, self._keys)

    def _segment(self, part: pa.Table) -> Segment:
        pick = self._random.choice
        layout = Layout(level=pick((0, 1)), row_group_rows=pick((1, 2, 4, 10, 125_000)))
        segment = write(self._folder, joined([_dense(part.sort_by("seq"))]), layout, pick((None, self._keys)))
        return replace(segment, index_bytes=0, index_checksum="") if pick((True, *[False] * 4)) else segment

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Make an engine that remembers much, or little."""
        remembered, indexes = (self._random.choice((0, 3000, 1 << 20, 1 << 20)) for _ in range(2))
        engine = Engine(self._folder, remembered_bytes=remembered, index_bytes=indexes, threads=2)
        with pytest.MonkeyPatch.context() as patch:
            for module, name, values in BOUNDS:
                patch.setattr(module, name, self._random.choice(values))
            yield engine
        engine.close()


@settings(max_examples=10)  # of fourteen queries each
@given(maker=makers(), overflow=st.booleans(), seed=st.integers(0, 2**63))
def test_random_queries_answer_as_the_oracle_does(maker: Maker, overflow: bool, seed: int) -> None:
    events = maker.events(overflow=overflow)
    queries = [*(maker.query() for _ in range(2)), *maker.related(8)]
    with TemporaryDirectory() as folder:
        layouts = Layouts(Path(folder), seed)
        snapshot = layouts.snapshot(table_of(events, overflow=overflow))
        with layouts.engine() as engine:
            for query in (*queries, *queries[-4:]):
                _compare(engine, snapshot, query, events)


def _compare(engine: Engine, snapshot: Snapshot, query: Query, events: Sequence[dict[str, Any]]) -> None:
    result = engine.run(snapshot, query)

    names, expected = evaluate(query, events, snapshot.columns - {RAW_MESSAGE})
    assert tuple(result.table.column_names) == names, format_query(query)
    got = [tuple(map(_cell, row)) for row in rows(result)]
    assert got == [tuple(None if value != value else value for value in row) for row in expected], format_query(query)


def _dense(part: pa.Table) -> pa.RecordBatch:
    """Make a batch that lacks the columns that none of its events has."""
    table = part.combine_chunks().select([name for name in part.column_names if part[name].null_count < part.num_rows])
    arrays = [table[name].combine_chunks().cast(arrow_type(name)) for name in table.column_names]
    return pa.RecordBatch.from_arrays(arrays, names=table.column_names)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return None if value != value else pytest.approx(value, rel=1e-12)
    return (dict(value) or None) if isinstance(value, list | dict) else value
