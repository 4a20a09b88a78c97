"""The view `events`: parts with differing columns, whole or some of their rows."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from event_store.engine.database import Connection, Database
from event_store.engine.errors import QueryCancelled, QueryFailed
from event_store.engine.found import Some
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


@pytest.mark.parametrize("bound", ["_FEW", "_FEW_BYTES"])
def test_many_rows_are_left_to_the_engine(
    snapshot: Snapshot, connection: Connection, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    partial = [(segment, Some(np.array([1, 2]))) for segment in snapshot.segments]
    few = shown(Source(snapshot=snapshot, partial=partial), connection, "message", "t_app", "attrs")
    monkeypatch.setattr(f"event_store.engine.source.{bound}", 1)

    assert shown(Source(snapshot=snapshot, partial=partial), connection, "message", "t_app", "attrs") == few
    assert [row["seq"] for row in few] == [1, 2]


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
