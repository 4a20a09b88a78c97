"""Indexes stay in memory as far as there is room."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from event_store.engine.errors import QueryFailed
from event_store.engine.indexes import Indexes
from event_store.storage import Segment, Snapshot
from event_store.storage.crypto import Keyring
from tests.unit.event_store.engine.stores import batch, segment_of


@dataclass
class Listed:
    nbytes: int = 100


@dataclass
class Read:
    values: Listed = field(default_factory=Listed)


@dataclass
class Snapshots:
    """Says which index it was asked for."""

    asked: list[str] = field(default_factory=list)

    def index(self, segment: Segment) -> Read | None:
        self.asked.append(segment.checksum)
        return Read() if segment.checksum != "none" else None


def test_values_are_read_once_as_long_as_there_is_room(tmp_path: Path) -> None:
    made = replace(segment_of(tmp_path, [batch(0, {"message": ["a"]})]), index_bytes=100)
    segments = {name: replace(made, checksum=name) for name in ("a", "b", "c", "none")}
    snapshot, indexes = Snapshots(), Indexes(2 * 512 + 2 * 100)

    def get(*names: str) -> list[str]:
        snapshot.asked.clear()
        for name in names:
            indexes.values(snapshot, segments[name])  # type: ignore[arg-type]
        return list(snapshot.asked)

    assert get("none", "none") == ["none", "none"]  # it may get one
    assert get("a", "b", "a") == ["a", "b"]
    assert indexes.values(snapshot, segments["c"]) is None  # type: ignore[arg-type]
    assert get("c") == []
    indexes.read(snapshot, segments["c"])  # type: ignore[arg-type]
    assert get("a", "c") == []
    indexes.read(snapshot, segments["b"])  # type: ignore[arg-type]
    assert get("c", "b") == []
    assert indexes.values(snapshot, segments["a"]) is None  # type: ignore[arg-type]  # it was not asked for longest
    assert snapshot.asked == []
    assert indexes.known.bytes <= indexes.known.max_bytes


def test_a_real_one_and_one_without_its_key(tmp_path: Path) -> None:
    keys = Keyring([b"k" * 32])
    segment = segment_of(tmp_path, [batch(0, {"message": ["a word"]})], keys=keys)
    snapshot = Snapshot(tmp_path, 1, (segment,), (), keys)

    index, values = Indexes(1 << 20).read(snapshot, segment), Indexes(1 << 20).values(snapshot, segment)

    assert index is not None
    assert index.ranges({"word"}) == [(0, 1)]
    assert values is not None
    assert values.of("source_id") == {"web"}
    for ask in (Indexes.read, Indexes.values):
        with pytest.raises(QueryFailed, match="no key file"):
            ask(Indexes(1 << 20), Snapshot(tmp_path, 1, (segment,), ()), segment)
