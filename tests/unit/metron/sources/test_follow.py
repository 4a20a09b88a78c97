"""Following one file."""

import os
from pathlib import Path

import pytest

from metron.sources.config import FileSource
from metron.sources.counts import SourceCounts
from metron.sources.discovery import Sighting, key_of, stamp_of
from metron.sources.follow import FollowedFile, Reading, Start
from metron.sources.outlet import envelope_head
from metron.sources.tail import Fingerprint
from tests.unit.metron.sources.fakes import append


def follow(
    path: Path, start: Start | None = None, counts: SourceCounts | None = None, **source: object
) -> FollowedFile:
    status = path.stat()
    settings = FileSource.model_validate({"paths": [str(path)], "source_id": "app", **source})
    sighting = Sighting(str(path), key_of(status), stamp_of(status), settings, str(path))
    return FollowedFile(sighting, start or Start(0), 100, counts or SourceCounts())


def read(file: FollowedFile) -> list[bytes]:
    readings: list[Reading] = []
    file.open()
    while True:
        more, _ = file.read(0.0, 4096)
        readings += more
        if file.at_end:
            return [line for reading in readings for line in reading.run.lines]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\n")
    return path


def test_reads_what_is_added(path: Path) -> None:
    file = follow(path)
    assert read(file) == [b"one", b"two"]

    append(path, b"three\n")

    assert read(file) == [b"three"]


def test_goes_on_after_it_was_closed_amid_a_line(path: Path) -> None:
    append(path, b"thr")
    file = follow(path)
    read(file)
    file.close()
    append(path, b"ee\n")

    assert read(file) == [b"three"]


def test_a_file_cut_short_is_read_again(path: Path) -> None:
    counts = SourceCounts()
    file = follow(path, counts=counts)
    read(file)
    path.write_bytes(b"new\n")

    assert read(file) == [b"new"]
    assert counts.truncations == 1


@pytest.mark.parametrize("content", [b"new\nnew\n", b"new\nnew\nand more\n"], ids=["same size", "larger"])
def test_a_file_overwritten_is_read_again(path: Path, content: bytes) -> None:
    counts = SourceCounts()
    file = follow(path, counts=counts)
    read(file)
    path.write_bytes(content)

    assert read(file) == content.splitlines()
    assert counts.truncations == 1


def test_a_held_beginning_survives_the_cut(path: Path) -> None:
    append(path, b"half")
    file = follow(path)
    read(file)
    path.write_bytes(b"new\n")

    assert read(file) == [b"half", b"new"]


def test_what_settles_of_the_old_content_does_not_move_the_new_position(path: Path) -> None:
    file = follow(path)
    file.open()
    [old], _ = file.read(0.0, 4096)
    settle_old = old.expect()
    path.write_bytes(b"n\n")
    file.read(0.0, 4096)

    settle_old()

    assert file.position.offset == 0


def test_the_position_moves_when_lines_have_settled(path: Path) -> None:
    file = follow(path)
    file.open()
    [reading], _ = file.read(0.0, 4096)
    settle = reading.expect()
    assert (file.position.offset, file.settled) == (0, False)

    settle()

    assert (file.position.offset, file.settled) == (8, True)
    assert file.position.fingerprint == Fingerprint.of(b"one\ntwo\n")


def test_a_file_read_but_not_sent_is_not_settled(path: Path) -> None:
    file = follow(path)
    file.open()
    file.read(0.0, 4096)

    assert not file.settled


def test_starts_at_an_offset_amid_a_line(path: Path) -> None:
    append(path, b"thr")
    file = follow(path, Start(path.stat().st_size))
    assert read(file) == []

    append(path, b"\nfour\n")

    assert read(file) == [b"four"]


def test_a_start_for_other_content_is_not_kept(path: Path) -> None:
    file = follow(path, Start(4, Fingerprint.of(b"uno\n")))

    assert read(file) == [b"one", b"two"]


def test_a_start_without_fingerprint_gets_one(path: Path) -> None:
    file = follow(path, Start(8))
    file.open()

    assert file.position.fingerprint == Fingerprint.of(b"one\ntwo\n")


def test_does_not_open_another_file_at_its_path(path: Path, tmp_path: Path) -> None:
    file = follow(path)
    path.rename(tmp_path / "other")
    path.write_bytes(b"another\n")

    with pytest.raises(FileNotFoundError, match="another file"):
        file.open()
    assert not file.is_open


def test_a_fifo_that_came_instead_does_not_block(path: Path) -> None:
    file = follow(path)
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(FileNotFoundError, match="another file"):
        file.open()


@pytest.mark.parametrize(
    ("start", "continues"),
    [
        (Start(4, Fingerprint.of(b"one\n")), True),
        (Start(8, Fingerprint.of(b"one\ntwo\n")), False),
        (Start(4, Fingerprint.of(b"uno\n")), False),
    ],
    ids=["more to read", "read to its end", "other content"],
)
def test_knows_whether_it_continues(path: Path, start: Start, continues: bool) -> None:
    file = follow(path, start)
    file.open()

    assert file.continues() is continues


def test_its_own_tags_win_over_the_file_name(path: Path) -> None:
    [reading], _ = _first_read(follow(path, tags={"filename": "mine", "team": "blue"}, instance_id="2"))

    assert reading.head == envelope_head("app", "2", {"filename": "mine", "team": "blue"})


def test_lines_are_tagged_with_the_file_name(path: Path) -> None:
    [reading], _ = _first_read(follow(path, err=True))

    assert reading.head == envelope_head("app", "0", {"filename": str(path)})
    assert reading.err


def _first_read(file: FollowedFile) -> tuple[list[Reading], int]:
    file.open()
    return file.read(0.0, 4096)
