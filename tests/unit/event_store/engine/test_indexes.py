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
class Held:
    nbytes: int


@dataclass
class Snapshots:
    """Says which index it was asked for."""

    asked: list[str] = field(default_factory=list)

    def index(self, segment: Segment) -> Held | None:
        self.asked.append(segment.checksum)
        return Held(100) if segment.checksum != "none" else None


def test_each_is_read_once_as_long_as_there_is_room(tmp_path: Path) -> None:
    made = segment_of(tmp_path, [batch(0, {"message": ["a"]})])
    segments = {name: replace(made, checksum=name) for name in ("a", "b", "c", "none")}
    snapshot, indexes = Snapshots(), Indexes(2 * 512 + 2 * 100)

    def get(*names: str) -> list[str]:
        snapshot.asked.clear()
        for name in names:
            indexes.get(snapshot, segments[name])  # type: ignore[arg-type]
        return list(snapshot.asked)

    assert get("a", "b", "a") == ["a", "b"]
    assert get("c") == ["c"]
    assert get("a", "c") == []
    assert get("b") == ["b"]  # it was not asked for longest
    assert get("none", "none") == ["none", "none"]  # it may get one
    assert get("c", "b") == []
    assert indexes.get(snapshot, segments["a"], if_room=True) is None  # type: ignore[arg-type]
    assert snapshot.asked == []
    assert indexes.known.bytes <= indexes.known.max_bytes


def test_a_real_one_and_one_without_its_key(tmp_path: Path) -> None:
    keys = Keyring([b"k" * 32])
    segment = segment_of(tmp_path, [batch(0, {"message": ["a word"]})], keys=keys)
    snapshot = Snapshot(tmp_path, 1, (segment,), (), keys)

    index = Indexes(1 << 20).get(snapshot, segment)

    assert index is not None
    assert index.ranges({"word"}) == [(0, 1)]
    with pytest.raises(QueryFailed, match="no key file"):
        Indexes(1 << 20).get(Snapshot(tmp_path, 1, (segment,), ()), segment)
