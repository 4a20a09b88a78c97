"""Positions in memory and on disk."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from metron.sources.checkpoints import MAX_GONE_S, Checkpoints, Position
from metron.sources.counts import SourceCounts
from metron.sources.tail import FileKey, Fingerprint

KEY = FileKey(64_768, 12)
POSITION = Position("/logs/app.log", "/logs/*.log", 42, Fingerprint.of(b"head"))


class Clock:
    now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


class FullDisk:
    """Fails as a full disk does until there is room."""

    def __init__(self) -> None:
        self.full = True
        self.written: list[bytes] = []

    def __call__(self, path: Path, content: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.written.append(content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "files.json"


def open_checkpoints(
    path: Path | None,
    counts: SourceCounts | None = None,
    clock: Callable[[], float] | None = None,
    write: Callable[[Path, bytes], None] | None = None,
    max_entries: int = 100,
) -> Checkpoints:
    checkpoints = Checkpoints(
        path, counts or SourceCounts(), now_s=clock or Clock(), write=write, max_entries=max_entries
    )
    checkpoints.load()
    return checkpoints


async def test_what_was_saved_is_loaded(path: Path) -> None:
    first = open_checkpoints(path)
    first.add_patterns(["/logs/*.log"])
    first.update({KEY: POSITION})
    await first.save()

    second = open_checkpoints(path)

    assert second.find(KEY, "/logs/app.log") == POSITION
    assert second.knows("/logs/*.log", "/elsewhere")
    assert second.knows("/another/glob", "/logs/app.log")
    assert not second.knows("/another/glob", "/elsewhere")


async def test_the_file_is_private_and_leaves_no_draft(path: Path) -> None:
    checkpoints = open_checkpoints(path)
    checkpoints.update({KEY: POSITION})
    await checkpoints.save()

    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["files.json"]


async def test_paths_of_any_bytes_are_kept(path: Path) -> None:
    odd = Position("/logs/\udcff %é\n.log", "/l%ogs/*", 1, Fingerprint())
    first = open_checkpoints(path)
    first.update({KEY: odd})
    await first.save()

    assert open_checkpoints(path).find(KEY, "") == odd


async def test_nothing_is_written_when_nothing_has_changed(path: Path) -> None:
    disk = FullDisk()
    disk.full = False
    checkpoints = open_checkpoints(path, write=disk)
    for _ in range(3):
        checkpoints.update({KEY: POSITION})
        await checkpoints.save()

    assert len(disk.written) == 1


async def test_without_a_path_nothing_is_kept() -> None:
    checkpoints = open_checkpoints(None)
    checkpoints.update({KEY: POSITION})

    await checkpoints.save()

    assert checkpoints.find(KEY, "") == POSITION


async def test_a_device_with_another_number_is_the_same_file(path: Path) -> None:
    checkpoints = open_checkpoints(path)
    checkpoints.update({KEY: POSITION})
    await checkpoints.save()
    again = open_checkpoints(path)

    assert again.find(FileKey(1, KEY.inode), "/logs/app.log") == POSITION
    assert again.find(FileKey(1, KEY.inode), "/logs/other.log") is None
    assert again.find(FileKey(1, 99), "/logs/app.log") is None


GOOD_ENTRY = {
    "device": 1,
    "inode": 2,
    "path": "/a",
    "pattern": "/a",
    "offset": 0,
    "head_bytes": 0,
    "head_hash": "",
    "gone_s": None,
}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 100,
        b'{"version":1,"patterns":[],"fil',
        b"[]",
        b'{"version":2,"patterns":[],"files":[]}',
        orjson.dumps({"version": 1, "patterns": [], "files": [{**GOOD_ENTRY, "offset": -1}]}),
        orjson.dumps({"version": 1, "patterns": [], "files": [{**GOOD_ENTRY, "offset": "7"}]}),
        orjson.dumps({"version": 1, "patterns": [], "files": [{**GOOD_ENTRY, "colour": "red"}]}),
    ],
    ids=["empty", "zeros", "cut off", "not a table", "other version", "negative", "text", "unknown field"],
)
async def test_a_file_that_makes_no_sense_is_set_aside(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    counts = SourceCounts()

    checkpoints = open_checkpoints(path, counts)

    assert checkpoints.still_there() == {}
    assert path.with_name("files.json.bad").read_bytes() == content
    assert not path.exists()
    assert counts.errors == {"checkpoint_unusable": 1}


async def test_a_file_that_cannot_be_read_is_set_aside(path: Path) -> None:
    path.mkdir(parents=True)
    counts = SourceCounts()

    checkpoints = open_checkpoints(path, counts)
    checkpoints.update({KEY: POSITION})
    await checkpoints.save()

    assert path.with_name("files.json.bad").is_dir()
    assert open_checkpoints(path).find(KEY, "") == POSITION
    assert counts.errors == {"checkpoint_unusable": 1}


async def test_a_good_file_of_this_version_is_taken(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(orjson.dumps({"version": 1, "patterns": [], "files": [GOOD_ENTRY]}))

    assert open_checkpoints(path).find(FileKey(1, 2), "/a") == Position("/a", "/a", 0, Fingerprint())


async def test_a_full_disk_is_counted_and_tried_again(path: Path) -> None:
    counts, disk = SourceCounts(), FullDisk()
    checkpoints = open_checkpoints(path, counts, write=disk)
    checkpoints.update({KEY: POSITION})
    await checkpoints.save()
    await checkpoints.save()
    assert counts.errors == {"checkpoint_save": 2}

    disk.full = False
    await checkpoints.save()

    assert len(disk.written) == 1
    assert counts.errors == {"checkpoint_save": 2}


async def test_a_failed_save_leaves_the_last_good_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    checkpoints = open_checkpoints(path)
    checkpoints.update({KEY: POSITION})
    await checkpoints.save()
    checkpoints.update({KEY: Position("/logs/app.log", "/logs/*.log", 99, Fingerprint())})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        await checkpoints.save()

    assert open_checkpoints(path).find(KEY, "") == POSITION
    assert [file.name for file in path.parent.iterdir()] == ["files.json"]


async def test_a_file_gone_for_a_day_is_forgotten() -> None:
    clock = Clock()
    checkpoints = open_checkpoints(None, clock=clock)
    checkpoints.update({KEY: POSITION})
    checkpoints.update({})
    clock.now_s += MAX_GONE_S
    checkpoints.update({})
    assert checkpoints.find(KEY, "") is not None

    clock.now_s += 1
    checkpoints.update({})

    assert checkpoints.find(KEY, "") is None


async def test_a_file_that_comes_back_is_not_gone() -> None:
    clock = Clock()
    checkpoints = open_checkpoints(None, clock=clock)
    checkpoints.update({KEY: POSITION})
    checkpoints.update({})
    checkpoints.update({KEY: POSITION})
    clock.now_s += 2 * MAX_GONE_S
    checkpoints.update({KEY: POSITION})

    assert checkpoints.still_there() == {KEY: POSITION}


async def test_too_many_entries_forget_those_longest_gone() -> None:
    clock = Clock()
    checkpoints = open_checkpoints(None, clock=clock, max_entries=3)
    keys = [FileKey(1, number) for number in range(5)]
    for key in keys:
        clock.now_s += 1
        checkpoints.update({key: POSITION})  # the one before is gone

    assert [key for key in keys if checkpoints.find(key, "")] == keys[2:]


async def test_files_that_are_there_are_never_forgotten() -> None:
    checkpoints = open_checkpoints(None, max_entries=3)
    followed = {FileKey(1, number): POSITION for number in range(5)}

    checkpoints.update(followed)

    assert checkpoints.still_there() == followed
