from pathlib import Path

import orjson

from event_store.storage import quarantine
from event_store.storage.manifest import Segment

SEGMENT = Segment("segments/day=1/a.parquet", 0, 3, 100, 5, 9, 0, 2, "00", frozenset({"time"}), None)


def test_a_segment_is_moved_and_what_was_known_of_it_written_down(tmp_path: Path) -> None:
    path = tmp_path / SEGMENT.file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"bad")

    path.with_suffix(".index").write_bytes(b"beside")

    damage = quarantine.keep_segment(tmp_path, SEGMENT, "why")
    assert path.exists()
    quarantine.let_go(tmp_path, SEGMENT)

    assert (damage.file, damage.what, damage.events) == (SEGMENT.file, "why", 3)
    assert list(path.parent.iterdir()) == []
    moved = tmp_path / "quarantine" / "segments_day=1_a.parquet"
    assert moved.read_bytes() == b"bad"
    assert moved.with_suffix(".index").read_bytes() == b"beside"
    note = orjson.loads(moved.with_name(f"{moved.name}.json").read_bytes())
    assert note["what"] == "why"
    assert note["segment"]["columns"] == ["time"]
    assert quarantine.count(tmp_path) == 1


def test_a_segment_that_is_gone_is_reported_all_the_same(tmp_path: Path) -> None:
    assert quarantine.keep_segment(tmp_path, SEGMENT, "gone").events == 3
    quarantine.let_go(tmp_path, SEGMENT)
    assert quarantine.count(tmp_path) == 0


def test_a_segment_that_cannot_be_moved_is_renamed(tmp_path: Path) -> None:
    path = tmp_path / SEGMENT.file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"bad")
    (tmp_path / "quarantine").write_text("a file, and no folder")

    quarantine.keep_segment(tmp_path, SEGMENT, "why")
    quarantine.let_go(tmp_path, SEGMENT)

    assert [(one.name, one.read_bytes()) for one in path.parent.iterdir()] == [("a.parquet.damaged", b"bad")]


def test_bytes_are_kept_once(tmp_path: Path) -> None:
    for _ in range(2):
        damage = quarantine.set_bytes_aside(tmp_path, "wal/1.wal", 40, b"odd", "a frame is wrong", None)

    assert damage.what == "a frame is wrong, 3 bytes at 40"
    assert (tmp_path / "quarantine" / "wal_1.wal.40").read_bytes() == b"odd"
    assert quarantine.count(tmp_path) == 1


def test_nothing_is_set_aside_in_a_sound_store(tmp_path: Path) -> None:
    assert quarantine.count(tmp_path) == 0
