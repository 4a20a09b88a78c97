"""Which finished files stay, and what a kill leaves of their compression."""

import threading
from pathlib import Path

import zstandard

from nozzles.file import Config, FinishedFiles
from tests.unit.nozzles.file.directory import finish, names


def test_nothing_is_deleted_unless_asked_for(tmp_path: Path) -> None:
    for number in range(50):
        finish(tmp_path / "out", number)
    FinishedFiles(Config(path=tmp_path / "out")).prune()

    assert len(names(tmp_path)) == 50


def test_the_oldest_are_deleted_beyond_a_number(tmp_path: Path) -> None:
    for number in range(1, 6):
        finish(tmp_path / "out", number)
    finish(tmp_path / "other", 1)
    FinishedFiles(Config(path=tmp_path / "out", keep_files=2)).prune()

    assert names(tmp_path) == ["other.0000000001", "out.0000000004", "out.0000000005"]


def test_the_oldest_are_deleted_beyond_so_many_bytes(tmp_path: Path) -> None:
    for number, size in ((1, 1), (2, 60), (3, 50), (4, 50)):
        finish(tmp_path / "out", number, b"x" * size)
    FinishedFiles(Config(path=tmp_path / "out", keep_bytes=100)).prune()

    assert names(tmp_path) == ["out.0000000003", "out.0000000004"]


def test_a_kill_while_compressing_leaves_the_file_to_be_compressed_again(tmp_path: Path) -> None:
    finish(tmp_path / "out", 1, b"whole\n")
    finish(tmp_path / "out", 1, b"half", ".zst.tmp")
    finish(tmp_path / "out", 99, b"half, and its file deleted since", ".zst.tmp")
    FinishedFiles(Config(path=tmp_path / "out", compress=True)).tidy(threading.Event())

    assert names(tmp_path) == ["out.0000000001.zst"]
    packed = (tmp_path / "out.0000000001.zst").read_bytes()
    assert zstandard.ZstdDecompressor().stream_reader(packed).read() == b"whole\n"


def test_a_kill_after_compressing_leaves_no_file_twice(tmp_path: Path) -> None:
    finish(tmp_path / "out", 1)
    finish(tmp_path / "out", 1, b"complete", ".zst")
    FinishedFiles(Config(path=tmp_path / "out", compress=True)).tidy(threading.Event())

    assert names(tmp_path) == ["out.0000000001.zst"]
    assert (tmp_path / "out.0000000001.zst").read_bytes() == b"complete"


def test_compressing_stops_when_told_to_and_leaves_the_file(tmp_path: Path) -> None:
    finish(tmp_path / "out", 1)
    stop = threading.Event()
    stop.set()
    FinishedFiles(Config(path=tmp_path / "out", compress=True)).tidy(stop)

    assert names(tmp_path) == ["out.0000000001"]
