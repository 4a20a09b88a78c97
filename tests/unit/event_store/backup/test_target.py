"""The folder of a backup: what is refused, and what comes into it."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from xxhash import xxh3_64_hexdigest

from event_store.backup import BackupRefused
from event_store.backup.target import Piece, Target
from event_store.storage.manifest import Manifest, save
from tests.unit.event_store.storage.events import opened

MANIFEST = Manifest(7, version=3)
LOG = f"{3:020d}.wal"


def target(folder: Path) -> Target:
    return Target(folder, lambda _: None)


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    opened(tmp_path / "store").close()
    (tmp_path / "file").touch()
    for name, what in (("notes", "no backup"), ("store", "no backup"), ("file", "no folder"), (".", "not apart")):
        with pytest.raises(BackupRefused, match=what), target(tmp_path / name).held(tmp_path / "source"):
            pass
    with pytest.raises(BackupRefused, match="not apart"), target(tmp_path / "store" / "copy").held(tmp_path / "store"):
        pass
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["a.txt"]


def test_a_backup_of_another_store_or_of_a_later_time_is_refused(tmp_path: Path) -> None:
    one = target(tmp_path)
    with one.held(tmp_path.parent / "source"):
        one.look(MANIFEST)
        one.note(MANIFEST, {0, 3}, {(LOG, 9)})
        save(tmp_path, MANIFEST)
        (tmp_path / "wal" / LOG).write_bytes(bytes(9))
        one.look(MANIFEST)
        (tmp_path / "wal" / LOG).write_bytes(bytes(10))
        with pytest.raises(BackupRefused, match="written to since"):
            one.look(MANIFEST)
        (tmp_path / "wal" / LOG).unlink()
        for other, what in ((replace(MANIFEST, id=8), "another store"), (replace(MANIFEST, version=2), "later time")):
            with pytest.raises(BackupRefused, match=what):
                one.look(other)
        save(tmp_path, replace(MANIFEST, version=4))
        with pytest.raises(BackupRefused, match="written to since"):
            one.look(replace(MANIFEST, version=9))


@pytest.mark.parametrize("note", [b"", b"[]", b'{"store":"7"}', b"\xff"])
def test_a_note_that_says_nothing_is_refused(note: bytes, tmp_path: Path) -> None:
    (tmp_path / "BACKUP").write_bytes(note)
    with pytest.raises(BackupRefused, match="not what a backup wrote"):
        target(tmp_path).look(MANIFEST)


def test_a_first_backup_that_was_cut_short_at_once_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "LOCK").touch()
    (tmp_path / ".BACKUP.new").touch()
    with target(tmp_path).held(tmp_path.parent / "source"):
        target(tmp_path).look(MANIFEST)
    assert (tmp_path / "BACKUP").exists()


def test_a_file_comes_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    one = target(tmp_path / "copy")
    good = Piece("segments/day=1/a.parquet", 7, xxh3_64_hexdigest(b"content"))
    for bad in (good._replace(checksum="0" * 16), good._replace(bytes=8), good._replace(bytes=6)):
        assert not one.take(tmp_path / "source", bad)
        assert not one.has(good)
        assert list((tmp_path / "copy" / "segments" / "day=1").iterdir()) == []
    assert one.take(tmp_path / "source", good)
    assert one.has(good)
    (tmp_path / "copy" / good.file).write_bytes(b"Content")
    assert not one.has(good)
    one.known = frozenset([good])
    assert one.has(good)


def test_a_disk_that_fails_is_named_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "file").write_bytes(b"content")
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match=str(tmp_path / "draft")):
        target(tmp_path).draft(tmp_path / "file", tmp_path / "draft", 7)
    with pytest.raises(OSError, match="/proc/self/mem"):
        target(tmp_path).draft(Path("/proc/self/mem"), tmp_path / "draft", 7)
