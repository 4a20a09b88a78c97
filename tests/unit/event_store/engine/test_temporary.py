"""Folders of queries: what killed processes left is removed, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_store.engine import Limits, temporary
from event_store.engine.database import Database
from event_store.engine.watch import watched

CLAIMS = "import sys; from event_store.engine.temporary import claim; print(claim()[0], flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for temporary files of their own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_left_is_removed_by_the_next(temp: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CLAIMS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            theirs = Path(other.stdout.readline().decode().strip())
            (theirs / "put aside").write_bytes(b"x")
            temporary.release(*temporary.claim())
            assert (theirs / "put aside").exists(), "it is in use"
        finally:
            other.kill()
    ours, lock = temporary.claim()

    assert list(temp.iterdir()) == [ours]
    assert theirs != ours
    temporary.release(ours, lock)
    assert list(temp.iterdir()) == []


def test_those_of_one_process_leave_each_other_alone(temp: Path) -> None:
    claimed = [temporary.claim() for _ in range(3)]
    assert sorted(temp.iterdir()) == sorted(folder for folder, _ in claimed)
    for folder, lock in claimed:
        temporary.release(folder, lock)


def test_what_is_not_ours_stays(temp: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "lock").touch()
    (temp / "standpipe-queries-link").symlink_to(elsewhere)
    (temp / "standpipe-queries-file").touch()
    (temp / "standpipe-queries-empty").mkdir()
    (temp / "another-folder").mkdir()
    (temp / "another-folder" / "lock").touch()
    before = set(temp.iterdir())

    temporary.release(*temporary.claim())

    assert set(temp.iterdir()) == before
    assert (elsewhere / "lock").exists()


def test_one_that_is_removed_before_it_is_held_is_made_again(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tries = temporary.lock_file, 0

    def late(path: Path) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise BlockingIOError
        lock = real(path)
        if tries == 2:
            path.unlink()
        return lock

    monkeypatch.setattr(temporary, "lock_file", late)
    folder, lock = temporary.claim()
    assert (tries, (folder / "lock").exists()) == (3, True)
    temporary.release(folder, lock)


def test_a_database_puts_aside_there_and_removes_what_others_left(temp: Path) -> None:
    left, lock = temporary.claim()
    os.close(lock)  # as the end of a process does
    database = Database(temp, memory_bytes=100 << 20, temp_bytes=1 << 30, threads=1)
    (folder,) = temp.iterdir()
    assert folder != left
    with watched(Limits(), None, None) as watch, database.connect(watch) as connection:
        found = connection.select("SELECT count(*) FROM (SELECT range::VARCHAR x FROM range(3000000) ORDER BY x DESC)")
        assert found.column(0).to_pylist() == [3_000_000]
    assert (folder / "lock").exists()
    database.close()
    assert list(temp.iterdir()) == []
