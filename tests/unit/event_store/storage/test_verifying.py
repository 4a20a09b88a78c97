import os
from collections.abc import Callable
from pathlib import Path

import pytest

from event_store.storage import SegmentDamaged, index_files, verifying
from tests.unit.event_store.storage.events import flip, written


def test_a_sound_segment_is_found_so(tmp_path: Path) -> None:
    segment = written(tmp_path)

    verifying.look(tmp_path, segment)
    verifying.verify(tmp_path, segment)


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    segment = written(tmp_path)

    for place in range(0, segment.bytes, 97):
        flip(tmp_path / segment.file, place)
        with pytest.raises(SegmentDamaged, match=r"checksum is wrong|end is none"):
            verifying.verify(tmp_path, segment)
        flip(tmp_path / segment.file, place)


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda path: os.truncate(path, 100), "it has 100 bytes"),
        (lambda path: os.truncate(path, 0), "it has 0 bytes"),
        (lambda path: path.unlink(), "cannot be read: No such file"),
        (lambda path: flip(path, path.stat().st_size - 1), "its end is none"),
        (lambda path: flip(path, path.stat().st_size - 5), "its end is none"),
    ],
)
def test_a_glance_finds_what_is_not_whole(tmp_path: Path, harm: Callable[[Path], None], what: str) -> None:
    segment = written(tmp_path)
    harm(tmp_path / segment.file)

    with pytest.raises(SegmentDamaged, match=what):
        verifying.look(tmp_path, segment)


def test_a_flipped_bit_anywhere_in_an_index_is_found(tmp_path: Path) -> None:
    segment = written(tmp_path)

    for place in range(0, segment.index_bytes, 7):
        flip(tmp_path / segment.index_file, place)
        with pytest.raises(SegmentDamaged, match="checksum is wrong"):
            verifying.verify_index(tmp_path, segment)
        with pytest.raises(SegmentDamaged, match="checksum is wrong"):
            index_files.read(tmp_path, segment, None)
        assert verifying.verify_all(tmp_path, [segment]) == ({}, {segment: "its checksum is wrong"})
        flip(tmp_path / segment.index_file, place)
    assert verifying.verify_all(tmp_path, [segment]) == ({}, {})
