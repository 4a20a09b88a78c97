"""The view `events`: parts with differing columns, whole or some of their rows."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_store.engine.database import Connection, Database
from event_store.engine.errors import QueryCancelled, QueryFailed, SegmentUnreadable
from event_store.engine.found import Some
from event_store.engine.reading import matching
from event_store.engine.source import Source, hot_table, show
from event_store.engine.watch import Limits, watched
from event_store.storage import Snapshot
from event_store.storage.crypto import Keyring
from tests.unit.event_store.engine.stores import batch, segment_of, snapshot_of


@pytest.fixture
def connection(folder: Path) -> Iterator[Connection]:
    database = Database(folder, memory_bytes=100 << 20, temp_bytes=1 << 20, threads=1)
    with watched(Limits(), None, None) as watch, database.connect(watch) as connection:
        yield connection
    database.close()


def shown(source: Source, connection: Connection, *columns: str) -> list[dict[str, Any]]:
    show(source, {*columns, "seq"}, connection)
    return connection.select("SELECT * FROM events ORDER BY seq").to_pylist()


def test_a_column_that_a_part_lacks_is_null_there(snapshot: Snapshot, connection: Connection) -> None:
    hot = hot_table(snapshot, {"seq", "t_app"})

    rows = shown(Source(snapshot=snapshot, whole=snapshot.segments, hot=hot), connection, "t_app", "f_status$num")

    assert [row["seq"] for row in rows] == list(range(6))
    assert [row["t_app"] for row in rows] == ["web", "api", None, None, "web", None]
    assert [row["f_status$num"] for row in rows] == [None, None, 500.0, 200.0, None, None]


def test_some_rows_of_some_segments(snapshot: Snapshot, connection: Connection) -> None:
    first, second = snapshot.segments
    some = Some(np.array([1, 3]))

    rows = shown(Source(snapshot=snapshot, partial=[(first, some)]), connection, "message")
    both = shown(Source(snapshot=snapshot, partial=[(first, some)], whole=[second]), connection)

    assert rows == [{"message": "two Error", "seq": 1}]
    assert [row["seq"] for row in both] == [1, 2, 3]


def test_an_event_that_may_be_in_two_segments_is_there_once(snapshot: Snapshot, connection: Connection) -> None:
    partial = [(segment, Some(np.array([1, 2]))) for segment in snapshot.segments]

    rows = shown(Source(snapshot=snapshot, partial=partial), connection, "message", "t_app", "attrs")

    assert [(row["seq"], row["message"], row["t_app"]) for row in rows] == [
        (1, "two Error", "api"),
        (2, "three error", None),
    ]


ROWS = 900
EVENTS = batch(
    50,
    {
        "message": [None if row % 7 == 0 else f"line {row}" for row in range(ROWS)],
        "source_id": ["ab"[row % 2] for row in range(ROWS)],
        "attrs": [[("t_x", str(row))] if row % 5 == 0 else None for row in range(ROWS)],
        "f_n_num": [float(row) for row in range(ROWS)],
    },
)
COLUMNS = ("message", "source_id", "attrs", "f_n$num", "t_none")


@pytest.fixture(scope="module", params=["as it came", "by source", "sealed"])
def kept(request: pytest.FixtureRequest, folder: Path) -> Snapshot:
    keys = Keyring([b"k" * 32]) if request.param == "sealed" else None
    return Snapshot(folder, 1, (segment_of(folder, [EVENTS], keys, level=int(request.param == "by source")),), (), keys)


def expected(seqs: Sequence[int]) -> list[dict[str, Any]]:
    every = {row["seq"]: row | {"t_none": None} for row in EVENTS.to_pylist()}
    return [{name: every[seq][name] for name in (*COLUMNS, "seq")} for seq in seqs]


def read(snapshot: Snapshot, some: Some, connection: Connection, *columns: str) -> list[dict[str, Any]]:
    rows = shown(Source(snapshot=snapshot, partial=[(snapshot.segments[0], some)]), connection, *columns)
    return [row | ({"attrs": list(row["attrs"].items())} if isinstance(row.get("attrs"), dict) else {}) for row in rows]


@given(
    st.sets(st.integers(0, ROWS + 200), min_size=1, max_size=20)
    | st.integers(0, ROWS).map(lambda at: {*range(at, at + 300)}),
    st.sampled_from([(), ("time",), ("time", "message")]),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reads_whichever_events_are_asked_for(
    kept: Snapshot, connection: Connection, wanted: set[int], held: tuple[str, ...]
) -> None:
    present = sorted(seq for seq in wanted if 50 <= seq < 50 + ROWS)
    known = pa.Table.from_batches([EVENTS]).take(pa.array([seq - 50 for seq in present], pa.int64())).select(held)
    some = Some(np.array(present, np.int64), known) if held else Some(np.array(sorted(wanted), np.int64))

    assert read(kept, some, connection, *COLUMNS) == expected(present)


def test_what_is_known_is_not_read_again(kept: Snapshot, connection: Connection) -> None:
    some = matching(kept, kept.segments[0], pl.col("message").str.contains("77$"))
    gone = replace(kept, segments=(replace(kept.segments[0], file="gone.parquet"),))

    assert [row["message"] for row in read(gone, some, connection, "message")] == some.held["message"].to_pylist()
    assert some.seqs.tolist() == [50 + row for row in range(ROWS) if row % 100 == 77 and row % 7]
    with pytest.raises(SegmentUnreadable, match=r"gone\.parquet"), connection._watch.interrupting(connection._cursor):
        read(gone, some, connection, "source_id")


def test_whoever_cancels_waits_for_no_more_segments(snapshot: Snapshot, tmp_path: Path) -> None:
    cancel, database = threading.Event(), Database(tmp_path, memory_bytes=100 << 20, temp_bytes=1 << 20, threads=1)
    gone = replace(snapshot, folder=tmp_path)  # none of its files is there
    source = Source(snapshot=gone, partial=[(segment, Some(np.array([1, 2]))) for segment in snapshot.segments])

    with pytest.raises(QueryCancelled), watched(Limits(), None, cancel) as watch, database.connect(watch) as connection:
        cancel.set()
        show(source, {"message"}, connection)
    database.close()


def test_nothing_at_all(snapshot: Snapshot, connection: Connection) -> None:
    source = Source(snapshot=snapshot)

    assert source.is_empty
    assert shown(source, connection, "time", "attrs", "message_raw") == []
    assert hot_table(Snapshot(snapshot.folder, 1, (), ()), {"seq"}) is None


def test_names_and_paths_may_hold_quotes(tmp_path: Path) -> None:
    folder = tmp_path / "it's [one] {two}"
    odd = snapshot_of(folder, {"message": ["x"], "t_a\"b'c": ["quoted"]})
    database = Database(folder, memory_bytes=100 << 20, temp_bytes=1 << 20, threads=1)

    with watched(Limits(), None, None) as watch, database.connect(watch) as connection:
        rows = shown(Source(snapshot=odd, whole=odd.segments), connection, "t_a\"b'c")

    assert rows == [{"seq": 0, "t_a\"b'c": "quoted"}]
    database.close()


def test_sealed_segments_are_read_like_others(tmp_path: Path) -> None:
    keys = Keyring([b"k" * 32])
    segments = [segment_of(tmp_path, [batch(first, {"message": ["a", "b"]})], keys=keys) for first in (0, 2)]
    sealed = Snapshot(tmp_path, 1, tuple(segments), (), keys)
    locked = Snapshot(tmp_path, 1, tuple(segments), (), Keyring([b"o" * 32]))
    database = Database(tmp_path, memory_bytes=100 << 20, temp_bytes=1 << 20, threads=1)
    source = Source(snapshot=sealed, whole=segments[:1], partial=[(segments[1], Some(np.array([3])))])

    with watched(Limits(), None, None) as watch, database.connect(watch) as connection:
        rows = shown(source, connection, "message", "t_app")
        with pytest.raises(QueryFailed, match="sealed with another key"):
            show(replace(source, snapshot=locked), {"seq"}, connection)

    assert [(row["seq"], row["message"], row["t_app"]) for row in rows] == [
        (0, "a", None),
        (1, "b", None),
        (3, "b", None),
    ]
    database.close()
