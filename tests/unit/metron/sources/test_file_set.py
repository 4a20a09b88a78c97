"""Many files: found, rotated, removed, read in turn."""

import os
from pathlib import Path

import pytest

from metron.sources.follow import FollowedFile
from tests.unit.metron.sources.fakes import Follower, append


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    return path


def test_files_there_at_the_first_start_are_read_from_their_end(path: Path) -> None:
    follower = Follower(path, start="end")
    assert follower.lines() == []

    append(path, b"two\n")

    assert follower.lines() == [b"two"]


def test_files_there_at_the_first_start_can_be_read_from_the_beginning(path: Path) -> None:
    assert Follower(path, start="beginning").lines() == [b"one"]


def test_files_that_appear_later_are_read_from_the_beginning(path: Path) -> None:
    follower = Follower(path.parent / "*.log", start="end")
    follower.lines()

    (path.parent / "new.log").write_bytes(b"new\n")

    assert follower.lines() == [b"new"]


def test_a_file_renamed_is_read_to_its_end_before_the_new_one(path: Path) -> None:
    follower = Follower(path)
    follower.lines()
    append(path, b"last of the old\n")
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"first of the new\n")

    assert sorted(follower.lines()) == [b"first of the new", b"last of the old"]
    assert follower.counts.rotations == 1


def test_a_file_renamed_within_the_globs_is_not_read_again(path: Path) -> None:
    follower = Follower(f"{path}*")
    follower.lines()
    append(path, b"two\n")
    path.rename(f"{path}.1")
    path.write_bytes(b"three\n")

    assert sorted(follower.lines()) == [b"three", b"two"]
    assert follower.lines() == []
    assert follower.counts.rotations == 1


def test_a_chain_of_renames_is_one_rotation(path: Path) -> None:
    follower = Follower(f"{path}*")
    (old := Path(f"{path}.1")).write_bytes(b"zero\n")
    follower.lines()
    old.rename(f"{path}.2")
    path.rename(old)
    path.write_bytes(b"two\n")

    assert follower.lines() == [b"two"]
    assert follower.counts.rotations == 1


def test_writers_may_go_on_in_a_renamed_file_for_a_while(path: Path) -> None:
    follower = Follower(path, rotate_grace_s=10)
    follower.lines(now=0)
    path.rename(path.with_suffix(".1"))
    follower.lines(now=1)
    append(path.with_suffix(".1"), b"two\n")
    assert follower.lines(now=9) == [b"two"]
    follower.files.let_go(now=18)
    append(path.with_suffix(".1"), b"three\n")

    assert follower.lines(now=18.5) == [b"three"]


def test_a_renamed_file_is_let_go_when_it_has_been_quiet(path: Path) -> None:
    follower = Follower(path, rotate_grace_s=10)
    follower.lines(now=0)
    path.rename(path.with_suffix(".1"))
    follower.lines(now=1)

    follower.files.let_go(now=11)

    assert follower.files.positions() == {}
    assert follower.counts.files_open == 0


def test_a_file_is_not_let_go_before_its_lines_have_settled(path: Path) -> None:
    follower = Follower(path, rotate_grace_s=0)
    [reading] = follower.read()
    path.unlink()
    follower.read(now=1)
    follower.files.let_go(now=100)
    assert len(follower.files.positions()) == 1

    reading.expect()()
    follower.files.let_go(now=100)

    assert follower.files.positions() == {}


def test_a_removed_file_is_read_to_its_end(path: Path) -> None:
    follower = Follower(path)
    follower.lines()
    append(path, b"two\n")
    path.unlink()

    assert follower.lines() == [b"two"]


def test_a_file_cut_short_by_its_rotation_is_read_from_the_beginning(path: Path) -> None:
    append(path, b"two\n")
    follower = Follower(path)
    follower.lines()
    os.truncate(path, 0)
    append(path, b"three\n")

    assert follower.lines() == [b"three"]
    assert follower.counts.truncations == 1


def test_a_file_rewritten_to_the_same_size_is_noticed(path: Path) -> None:
    follower = Follower(path)
    follower.lines()
    path.write_bytes(b"two\n")
    os.utime(path, ns=(1, 1))  # however coarse the clock of the file system

    assert follower.lines() == [b"two"]


def test_a_line_without_end_is_held_back_until_it_ends(path: Path) -> None:
    append(path, b"tw")
    follower = Follower(path, partial_flush_s=5)
    assert follower.lines(now=0) == [b"one"]
    assert follower.lines(now=4) == []
    append(path, b"o\n")

    assert follower.lines(now=4.5) == [b"two"]


def test_a_line_without_end_is_sent_when_the_file_stays_quiet(path: Path) -> None:
    append(path, b"panic")
    follower = Follower(path, partial_flush_s=5)
    follower.lines(now=0)

    assert follower.lines(now=5) == [b"panic"]
    assert follower.lines(now=50) == []


def test_a_line_is_not_cut_while_its_end_waits_to_be_read(path: Path) -> None:
    append(path, b"two")
    follower = Follower(path, partial_flush_s=5)
    follower.lines(now=0)
    append(path, b" and its end\n")

    assert follower.lines(now=100) == [b"two and its end"]


def test_a_line_without_end_is_sent_when_its_renamed_file_stays_quiet(path: Path) -> None:
    append(path, b"half")
    follower = Follower(path, partial_flush_s=1000, rotate_grace_s=10)
    follower.lines(now=0)
    path.unlink()

    assert follower.lines(now=9) == []
    assert follower.lines(now=10) == [b"half"]


def test_crlf_binary_and_empty_lines_pass(path: Path) -> None:
    path.write_bytes(b"a\r\n\r\n\n\x00\xff\xfe\x1b[0m\nb\n")

    assert Follower(path).lines() == [b"a", b"", b"", b"\x00\xff\xfe\x1b[0m", b"b"]


def test_a_very_long_line_comes_in_pieces(path: Path) -> None:
    path.write_bytes(b"x" * 150_000 + b"\nnext\n")
    follower = Follower(path, chunk_bytes=10_000)

    readings = follower.read()

    lines = [line for reading in readings for line in reading.run.lines]
    assert [len(line) for line in lines] == [61_440, 61_440, 27_120, 4]
    assert sum(reading.run.long_lines for reading in readings) == 1


def test_files_are_read_in_turn(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(f"{name}1\n{name}2\n{name}3\n".encode())
    follower = Follower(tmp_path / "*", chunk_bytes=3)

    assert follower.lines() == [b"a1", b"b1", b"a2", b"b2", b"a3", b"b3"]


def test_a_round_of_reading_is_bounded(path: Path) -> None:
    path.write_bytes(b"0123456789abcde\n" * 200_000)
    follower = Follower(path)
    follower.files.scan(0)

    readings = follower.files.read_round(0)

    assert sum(len(reading.run.lines) for reading in readings) == (1 << 20) // 16
    assert follower.files.ready


def test_more_files_than_may_be_open_are_all_read(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:02}.log" for number in range(20)]
    for path in paths:
        path.write_bytes(b"first\n")
    follower = Follower(tmp_path / "*.log", max_open_files=3)
    assert follower.lines() == [b"first"] * 20
    for path in paths:
        append(path, b"second\n")

    assert follower.lines() == [b"second"] * 20
    assert follower.counts.files_open <= 3


def test_a_renamed_file_that_was_not_open_is_found_again(tmp_path: Path) -> None:
    old, busy = tmp_path / "a.log", tmp_path / "b.log"
    old.write_bytes(b"a1\n")
    busy.write_bytes(b"b1\n")
    follower = Follower(tmp_path / "*.log", max_open_files=1)
    follower.lines()
    append(old, b"a2\n")
    old.rename(tmp_path / "a.log.1")

    assert follower.lines() == [b"a2"]


def test_lines_that_vanish_unread_are_counted(tmp_path: Path) -> None:
    old, busy = tmp_path / "a.log", tmp_path / "b.log"
    old.write_bytes(b"a1\n")
    busy.write_bytes(b"b1\n")
    follower = Follower(tmp_path / "*.log", max_open_files=1)
    follower.files.scan(0)
    busy.unlink()
    follower.files.scan(0)

    assert follower.counts.errors == {"vanished": 1}


def test_an_unreadable_file_is_told_once_and_read_when_it_can_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: FollowedFile) -> None:
        raise PermissionError(13, "Permission denied", file.path)

    follower = Follower(path)
    with monkeypatch.context() as patch:
        patch.setattr(FollowedFile, "open", refuse)
        assert follower.lines() == []
        assert follower.lines() == []
    assert follower.counts.errors == {"unreadable": 1}

    assert follower.lines() == [b"one"]


def test_a_failing_disk_is_told_once_and_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int, size: int, offset: int) -> bytes:
        raise OSError(5, "Input/output error")

    follower = Follower(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fail)
        follower.lines()
        follower.lines()
    assert follower.counts.errors == {"read_failed": 1}

    assert follower.lines() == [b"one"]


def test_directories_among_the_files_do_no_harm(path: Path) -> None:
    (path.parent / "directory.log").mkdir()
    follower = Follower(path.parent / "*.log")

    assert follower.lines() == [b"one"]
    assert follower.counts.errors == {"directory": 1}


def test_a_name_that_is_not_utf_8_is_followed(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.log")).write_bytes(b"one\n")

    assert Follower(tmp_path / "*.log").lines() == [b"one"]


def test_closing_leaves_no_file_open(path: Path) -> None:
    follower = Follower(path)
    follower.lines()
    assert follower.counts.files_open == 1

    follower.files.close()

    assert follower.counts.files_open == 0


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "files.json"


async def test_a_restart_goes_on_where_it_stopped(path: Path, notes: Path) -> None:
    first = Follower(path, checkpoints=notes)
    first.lines()
    await first.save()
    append(path, b"two\n")

    assert Follower(path, checkpoints=notes).lines() == [b"two"]


async def test_lines_that_had_not_settled_are_read_again(path: Path, notes: Path) -> None:
    first = Follower(path, checkpoints=notes)
    first.lines()
    append(path, b"two\n")
    first.read()
    await first.save()

    assert Follower(path, checkpoints=notes).lines() == [b"two"]


async def test_a_start_at_the_end_is_remembered_before_anything_is_read(path: Path, notes: Path) -> None:
    first = Follower(path, checkpoints=notes, start="end")
    first.lines()
    await first.save()
    append(path, b"two\n")

    assert Follower(path, checkpoints=notes, start="end").lines() == [b"two"]


async def test_files_that_appeared_between_two_lives_are_read_from_the_beginning(path: Path, notes: Path) -> None:
    first = Follower(path.parent / "*.log", checkpoints=notes, start="end")
    first.lines()
    await first.save()
    (path.parent / "new.log").write_bytes(b"new\n")

    assert Follower(path.parent / "*.log", checkpoints=notes, start="end").lines() == [b"new"]


async def test_a_new_glob_starts_at_the_end_even_in_a_later_life(path: Path, notes: Path) -> None:
    first = Follower(path, checkpoints=notes, start="end")
    first.lines()
    await first.save()
    (path.parent / "other.txt").write_bytes(b"old history\n")

    assert Follower(path, path.parent / "*.txt", checkpoints=notes, start="end").lines() == []


async def test_a_file_rotated_between_two_lives_is_read_to_its_end(path: Path, notes: Path) -> None:
    first = Follower(path, checkpoints=notes, start="end")
    first.lines()
    await first.save()
    append(path, b"two\n")
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"three\n")

    assert sorted(Follower(path, checkpoints=notes, start="end").lines()) == [b"three", b"two"]


async def test_an_inode_used_again_is_another_file(path: Path, notes: Path) -> None:
    first = Follower(path, checkpoints=notes)
    first.lines()
    await first.save()
    path.write_bytes(b"not the same file\n")

    assert Follower(path, checkpoints=notes).lines() == [b"not the same file"]


async def test_a_file_cut_short_between_two_lives_is_read_from_the_beginning(path: Path, notes: Path) -> None:
    first = Follower(path, checkpoints=notes)
    first.lines()
    await first.save()
    path.write_bytes(b"n\n")

    assert Follower(path, checkpoints=notes).lines() == [b"n"]
