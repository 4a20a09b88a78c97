"""Text is found in segments and in memory, once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from event_store.engine.errors import QueryFailed
from event_store.engine.scanning import Scanner, join
from event_store.storage import Snapshot
from event_store.storage.crypto import Keyring
from tests.unit.event_store.engine.stores import batch, many_lines, segment_of

LINES = {"message": ["Needle", None, *["hay"] * 30, "a needle"]}


def words(*patterns: str) -> frozenset[str]:
    return frozenset(f"(?i){pattern}" for pattern in patterns)


def test_finds_the_places_of_a_text(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, [batch(100, LINES)])
    snapshot, scanner = Snapshot(tmp_path, 1, (segment,), ()), Scanner(10_000)

    assert scanner.segment(snapshot, segment, words("needle")).tolist() == [100, 132]
    assert scanner.segment(snapshot, segment, words("needle", "a ")).tolist() == [132]
    assert scanner.segment(snapshot, segment, words("absent")).tolist() == []
    assert scanner.segment(snapshot, segment, words("hay")) is None  # too many


def test_a_segment_is_read_once(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, [batch(0, LINES)])
    snapshot, scanner = Snapshot(tmp_path, 1, (segment,), ()), Scanner(10_000)
    found = scanner.segment(snapshot, segment, words("needle"))
    snapshot.path(segment).unlink()

    assert scanner.segment(snapshot, segment, words("needle")) is found
    with pytest.raises(QueryFailed, match="standpipe store verify"):
        scanner.segment(snapshot, segment, words("other"))


def test_who_asks_the_same_at_once_waits_for_the_answer(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, [batch(0, LINES)])
    snapshot, scanner = Snapshot(tmp_path, 1, (segment,), ()), Scanner(10_000)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: scanner.segment(snapshot, segment, words("needle")), range(8)))

    assert all(one is found[0] for one in found)


def test_a_pattern_that_is_too_big_finds_nothing_out(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, [batch(0, LINES)])

    assert Scanner(0).segment(Snapshot(tmp_path, 1, (segment,), ()), segment, frozenset({r"(\w{500}){500}"})) is None


def test_memory_is_looked_through(tmp_path: Path) -> None:
    table = pa.Table.from_batches([batch(0, many_lines(50)), batch(50, LINES)])

    assert Scanner(0).table(table, words("needle"))["seq"].to_pylist() == [50, 82]
    assert Scanner(0).table(table, words("line")) is table
    assert Scanner(0).table(table, frozenset()) is table
    assert Scanner(0).table(table.drop_columns(["message"]), words("x")).num_rows == 0
    assert Scanner(0).table(table.slice(0, 0), words("x")).num_rows == 0


def test_places_are_joined_while_they_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [np.array([1, 2]), np.array([3])]

    assert join(places).tolist() == [1, 2, 3]
    assert join([]).tolist() == []
    monkeypatch.setattr("event_store.engine.scanning._MOST_PLACES", 2)
    assert join(places) is None


def test_sealed_segments_are_looked_through(tmp_path: Path) -> None:
    keys = Keyring([b"k" * 32])
    segment = segment_of(tmp_path, [batch(0, LINES)], keys=keys)

    assert Scanner(0).segment(Snapshot(tmp_path, 1, (segment,), (), keys), segment, words("needle")).tolist() == [0, 32]
    with pytest.raises(QueryFailed, match="no key file"):
        Scanner(0).segment(Snapshot(tmp_path, 1, (segment,), ()), segment, words("needle"))
