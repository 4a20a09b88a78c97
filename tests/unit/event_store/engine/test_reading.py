"""A little of a segment is read, however the events that are wanted lie in it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_store.engine.errors import QueryFailed, SegmentUnreadable
from event_store.engine.found import Some
from event_store.engine.reading import events_at, matching
from event_store.query.syntax import Span
from event_store.storage import Segment, Snapshot
from event_store.storage.crypto import Keyring
from event_store.storage.parquet import Layout
from event_store.storage.segments import table_of, write
from tests.unit.event_store.engine.stores import SECOND, batch
from tests.unit.event_store.storage.events import START

ROWS = 9000
KEYS = Keyring([b"k" * 32])
EVENTS = batch(
    50,
    {
        "message": [None if row % 7 == 0 else f"line {row}" for row in range(ROWS)],
        "source_id": ["ab"[row % 2] for row in range(ROWS)],
        "attrs": [[("t_x", str(row))] if row % 5 == 0 else None for row in range(ROWS)],
        "f_n_num": [float(row) for row in range(ROWS)],
    },
)
COLUMNS = {"message", "source_id", "attrs", "f_n$num", "t_none"}


@pytest.fixture(scope="module", params=["as it came", "by source", "sealed"])
def snapshot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("store")
    layout = Layout(level=int(request.param == "by source"), row_group_rows=2500)
    keys = KEYS if request.param == "sealed" else None
    return Snapshot(folder, 1, (write(folder, table_of([EVENTS]), layout, keys),), (), keys)


def expected(seqs: Sequence[int]) -> list[dict[str, Any]]:
    every = {row["seq"]: row for row in EVENTS.to_pylist()}
    return [{name: every[seq][name] for name in ("seq", *COLUMNS - {"t_none"})} for seq in seqs]


def read(snapshot: Snapshot, some: Some, columns: set[str] = COLUMNS) -> list[dict[str, Any]]:
    return events_at(snapshot, snapshot.segments[0], some, columns).to_pylist()


@given(
    st.sets(st.integers(0, ROWS + 200), min_size=1, max_size=20)
    | st.integers(0, ROWS).map(lambda at: {*range(at, at + 300)})
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reads_whichever_events_are_asked_for(snapshot: Snapshot, wanted: set[int]) -> None:
    present = sorted(seq for seq in wanted if 50 <= seq < 50 + ROWS)

    assert read(snapshot, Some(np.array(sorted(wanted), np.int64))) == expected(present)


def test_what_is_known_is_not_read_again(snapshot: Snapshot) -> None:
    (segment,) = snapshot.segments
    some = matching(snapshot, segment, pl.col("message").str.contains("77$"))

    assert some.held.column_names == ["time", "message"]
    assert read(snapshot, some) == expected(some.seqs.tolist())
    gone = Snapshot(snapshot.folder, 1, (replace(segment, file="gone.parquet"),), (), snapshot.keys)
    assert [row["message"] for row in read(gone, some, {"message"})] == some.held["message"].to_pylist()
    with pytest.raises(SegmentUnreadable, match=r"gone\.parquet cannot be read") as failed:
        read(gone, some, {"source_id"})
    assert failed.value.files == {"gone.parquet"}


def test_finds_all_or_looks_where_it_is_told(snapshot: Snapshot) -> None:
    (segment,) = snapshot.segments
    ends_in_77 = pl.col("message").str.contains("77$")
    every = [50 + row for row in range(ROWS) if row % 100 == 77 and row % 7]

    def seqs(**where: Any) -> list[int]:
        return list(matching(snapshot, segment, ends_in_77, **where).seqs.tolist())

    assert seqs() == every
    part = Span(START + 1050 * SECOND, START + 2050 * SECOND)
    assert seqs(span=part) == [seq for seq in every if 1050 <= seq < 2050]
    assert seqs(ranges=[(0, 4000), (4000, ROWS)]) == every
    halves = [seqs(ranges=[(first, first + ROWS // 2)]) for first in (0, ROWS // 2)]
    assert sorted(halves[0] + halves[1]) == every


def test_many_messages_are_not_held(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("event_store.engine.reading._MOST_HELD", 10)

    some = matching(snapshot, snapshot.segments[0], pl.col("message").str.contains("77$"))

    assert some.held.column_names == ["time"]
    assert read(snapshot, some) == expected(some.seqs.tolist())


def test_a_segment_that_lacks_what_was_found_in_it(snapshot: Snapshot) -> None:
    segment: Segment = snapshot.segments[0]
    some = matching(snapshot, segment, pl.col("message").str.contains("line 78$"))

    with pytest.raises(QueryFailed, match="lacks events"):
        events_at(snapshot, segment, Some(some.seqs + 100_000, some.rows, some.held), {"source_id"})


def test_what_makes_polars_panic_cannot_be_read(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*_: Any, **__: Any) -> Any:
        raise pl.exceptions.PanicException("index out of bounds")

    monkeypatch.setattr(pl.LazyFrame, "collect", panic)
    with pytest.raises(SegmentUnreadable):
        matching(snapshot, snapshot.segments[0], pl.col("message").str.contains("77$"))
