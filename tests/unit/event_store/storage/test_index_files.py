from dataclasses import replace
from pathlib import Path

import pytest

from event_store.storage import StoreLocked, index_files, segments, verifying
from event_store.storage.crypto import Keyring
from event_store.storage.parquet import Layout
from event_store.storage.schema import numbered
from tests.unit.event_store.storage.events import events, no_room, written


def test_an_index_is_read_as_it_was_written_and_can_be_made_again(tmp_path: Path) -> None:
    batch = events(range(30), t_a=["x", None, "y"] * 10)
    for layout in (Layout(row_group_rows=7), Layout(level=1, row_group_rows=7)):
        segment = written(tmp_path, batch, layout=layout)
        found = index_files.read(tmp_path, segment, None)
        assert found is not None
        assert (found.rows, found.values.of("t_a")) == (30, {"x", "y"})
        assert found.ranges(["17"]) == [(14, 21)]
        before = (tmp_path / segment.index_file).read_bytes()
        (tmp_path / segment.index_file).unlink()

        assert index_files.renew(tmp_path, segment, None, lambda: None) == segment
        assert (tmp_path / segment.index_file).read_bytes() == before


def test_an_index_is_sealed_as_its_segment_is(tmp_path: Path) -> None:
    keys = Keyring([b"k" * 32])
    (segment,) = segments.write_all(tmp_path, [numbered(events(range(3), t_a=["hidden value"] * 3), 5)], Layout(), keys)

    assert b"hidden" not in (tmp_path / segment.index_file).read_bytes()
    for _ in range(2):
        found = index_files.read(tmp_path, segment, keys)
        assert found is not None
        assert found.values.of("t_a") == {"hidden value"}
        segment = index_files.renew(tmp_path, segment, keys, lambda: None)
        assert b"hidden" not in (tmp_path / segment.index_file).read_bytes()
    for others in (None, Keyring([b"o" * 32])):
        with pytest.raises(StoreLocked, match=segment.file):
            index_files.read(tmp_path, segment, others)


def test_a_segment_of_before_there_were_indexes_has_none(tmp_path: Path) -> None:
    segment = replace(written(tmp_path), index_bytes=0, index_checksum="")

    assert index_files.read(tmp_path, segment, None) is None
    verifying.verify_index(tmp_path, segment)
    assert segments.strays(tmp_path, [segment]) == [tmp_path / segment.index_file]


@pytest.mark.parametrize("which", [1, 2])
def test_what_the_disk_did_not_take_leaves_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    real, calls = Path.replace, []

    def refuse(self: Path, target: Path) -> Path:
        calls.append(self)
        return real(self, target) if len(calls) < which else no_room()  # type: ignore[return-value]

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        written(tmp_path)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
