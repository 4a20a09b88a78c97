import fcntl
import os
import stat
from pathlib import Path

import pytest

from plumbing.private_files import PUBLIC, lock_file, locked, write_file


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with locked(tmp_path / "new" / "tokens"):
        pass

    assert mode_of(tmp_path / "new" / "tokens") == 0o700


def test_a_directory_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o755)

    with locked(tmp_path / "old"):
        pass

    assert mode_of(tmp_path / "old") == 0o755


def test_file_is_private_unless_told_otherwise(tmp_path: Path) -> None:
    write_file(tmp_path / "key", b"secret")
    write_file(tmp_path / "certificate", b"known", PUBLIC)

    assert mode_of(tmp_path / "key") == 0o600
    assert mode_of(tmp_path / "certificate") == 0o644


def test_file_is_private_from_its_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    opened = os.open

    def spy(path: str | Path, flags: int, mode: int = 0o777) -> int:
        handle = opened(path, flags, mode)
        if flags & os.O_CREAT:
            seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return handle

    monkeypatch.setattr(os, "open", spy)
    write_file(tmp_path / "key", b"secret")

    assert seen == [0o600]


def test_a_file_that_was_readable_by_all_is_so_no_longer(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"old")
    (tmp_path / "key").chmod(0o644)

    write_file(tmp_path / "key", b"new")

    assert mode_of(tmp_path / "key") == 0o600
    assert (tmp_path / "key").read_bytes() == b"new"


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path / "key", b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_file(tmp_path / "key", b"new")

    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").read_bytes() == b"old"


def test_what_a_killed_process_left_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".key.new").write_bytes(b"half")

    write_file(tmp_path / "key", b"whole")

    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_link_in_the_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"untouched")
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")

    write_file(tmp_path / "key", b"secret")

    assert (tmp_path / "elsewhere").read_bytes() == b"untouched"
    assert not (tmp_path / "key").is_symlink()


def test_a_file_that_is_locked_is_refused_to_others_and_free_when_it_was_closed(tmp_path: Path) -> None:
    handle = lock_file(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        lock_file(tmp_path / "lock")
    os.close(handle)
    os.close(lock_file(tmp_path / "lock"))

    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "lock")
    with pytest.raises(OSError, match="symbolic links"):
        lock_file(tmp_path / "link")


def test_only_one_at_a_time_holds_the_lock(tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)

    with locked(tmp_path), pytest.raises(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    os.close(handle)
