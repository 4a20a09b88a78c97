"""Copies of a store: what is in them, what is copied again, and what a store does meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_store.backup import BackupRefused, back_up
from event_store.backup import backup as module
from event_store.backup.target import Piece, Target
from event_store.storage import Reader, Store, StoreBusy, StoreLocked, StoreMissing
from tests.unit.event_store.storage.events import events, flip, key_file, numbers_in, opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that is open: events 0 to 5 in two segments, 6 and 7 in the log."""
    store = opened(tmp_path / "events", remove_after_s=0)
    for first in (0, 3):
        store.append([events(range(first, first + 3))])
        store.flush()
    store.append([events([6, 7])], b"mark")
    yield store
    store.close()


def numbers(folder: Path) -> list[int]:
    return numbers_in(Reader.open(folder).snapshot())


def damages(folder: Path) -> int:
    store = opened(folder)
    try:
        return len(store.verify()) + len(store.stats().damages)
    finally:
        store.close()


def test_a_copy_is_a_store_with_all_that_was_acknowledged(store: Store, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = back_up(store.folder, tmp_path / "a" / "copy", lambda *told: seen.append(told))

    assert (done.segments, done.damages, done.removed) == (2, [], 0)
    assert seen[-1][0] == seen[-1][1] == done.copied_bytes + done.log_bytes
    assert numbers(tmp_path / "a" / "copy") == list(range(8))
    assert damages(tmp_path / "a" / "copy") == 0
    copy = opened(tmp_path / "a" / "copy")
    assert (copy.marks(), copy.append([events([8])])) == ((b"mark",), 9)
    copy.close()


def test_nobody_but_its_owner_may_read_it(store: Store, tmp_path: Path) -> None:
    back_up(store.folder, tmp_path / "copy")
    found = [tmp_path / "copy", *(tmp_path / "copy").rglob("*")]
    assert {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in found} == {(True, 0o700), (False, 0o600)}


def test_what_is_there_is_not_copied_again_and_what_is_no_more_goes(store: Store, tmp_path: Path) -> None:
    back_up(store.folder, tmp_path / "copy")
    again = back_up(store.folder, tmp_path / "copy")
    store.flush()
    third = back_up(store.folder, tmp_path / "copy")
    store.compact(everything=True)
    fourth = back_up(store.folder, tmp_path / "copy")

    files_of_a_segment = fourth.copied
    assert (again.copied, again.removed) == (0, 0)
    assert (third.copied, third.segments, third.removed) == (files_of_a_segment, 3, 1)  # a file of the log
    assert (fourth.segments, fourth.removed) == (1, 3 * files_of_a_segment)
    assert numbers(tmp_path / "copy") == list(range(8))
    assert damages(tmp_path / "copy") == 0


def test_a_backup_that_was_cut_short_is_gone_on_with(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "save", fail)
        with pytest.raises(OSError, match="No space"):
            back_up(store.folder, copy)
    with pytest.raises(StoreMissing):
        Reader.open(copy)
    segment = next(copy.rglob("*.parquet"))
    flip(segment, 50)
    done = back_up(store.folder, copy)

    assert done.copied == 1
    assert numbers(copy) == list(range(8))
    assert damages(copy) == 0


def test_a_backup_that_ends_behind_its_manifest_has_what_was_flushed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    back_up(store.folder, copy)
    store.flush()
    store.append([events([8])])

    rename = Path.replace

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda path, to: fail() if to.suffix == ".wal" else rename(path, to))
        with pytest.raises(OSError, match="Input"):
            back_up(store.folder, copy)
    assert len(Reader.open(copy).snapshot().segments) == 3
    assert numbers(copy) == list(range(8))
    with monkeypatch.context() as patch:
        patch.setattr(module.Target, "clear", fail)
        with pytest.raises(OSError, match="Input"):
            back_up(store.folder, copy)
    assert numbers(copy) == list(range(9))
    back_up(store.folder, copy)
    assert damages(copy) == 0


def test_what_the_store_flushes_or_joins_meanwhile_is_found(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, files = Target.take, module.files
    before_segments = [store.flush, lambda: store.compact(everything=True), lambda: store.append([events([9])])]
    before_log = [lambda: store.append([events([8])]), store.flush]

    def taking(self: Target, source: Path, piece: Piece) -> bool:
        if before_segments:
            before_segments.pop(0)()
        return take(self, source, piece)

    def listing(folder: Path) -> list[tuple[int, Path]]:
        if before_log:
            before_log.pop(0)()
        return files(folder)

    monkeypatch.setattr(Target, "take", taking)
    monkeypatch.setattr(module, "files", listing)
    done = back_up(store.folder, tmp_path / "copy")

    assert not before_segments
    assert not before_log
    assert (numbers(tmp_path / "copy")[:9], done.damages) == (list(range(9)), [])
    assert damages(tmp_path / "copy") == 0


def test_what_is_damaged_is_reported_and_left_out(store: Store, tmp_path: Path) -> None:
    first, second = store.segments()
    back_up(store.folder, tmp_path / "older")
    flip(store.folder / first.file, 50)
    (store.folder / second.file).unlink()
    done = back_up(store.folder, tmp_path / "copy")

    assert [(one.file, one.events) for one in done.damages] == [(first.file, 3), (second.file, 3)]
    assert numbers(tmp_path / "copy") == [6, 7]
    assert damages(tmp_path / "copy") == 0
    assert back_up(store.folder, tmp_path / "older").damages == []
    assert numbers(tmp_path / "older") == list(range(8))


def test_a_damaged_index_is_left_out_and_its_segment_is_not(store: Store, tmp_path: Path) -> None:
    indexes = sorted(store.folder.rglob("*.index"))
    if not indexes:
        pytest.skip("nothing lies beside segments that are this small")
    flip(indexes[0], 5)
    done = back_up(store.folder, tmp_path / "copy")

    assert [(one.file.endswith(".index"), one.events) for one in done.damages] == [(True, 0)]
    assert (numbers(tmp_path / "copy"), damages(tmp_path / "copy")) == (list(range(8)), 0)


def test_what_is_sealed_stays_sealed_and_needs_no_key(tmp_path: Path) -> None:
    keys = key_file(tmp_path / "keys", b"k")
    store = opened(tmp_path / "events", key_file=keys)
    store.append([events(range(3))])
    store.flush()
    store.append([events([3])])
    back_up(store.folder, tmp_path / "copy")
    store.close()

    assert numbers_in(Reader.open(tmp_path / "copy", key_file=keys).snapshot()) == [0, 1, 2, 3]
    with pytest.raises(StoreLocked):
        Reader.open(tmp_path / "copy")


def test_an_empty_store_has_a_copy(tmp_path: Path) -> None:
    opened(tmp_path / "events").close()
    assert back_up(tmp_path / "events", tmp_path / "copy").segments == 0
    assert numbers(tmp_path / "copy") == []


def test_a_torn_frame_at_the_end_of_the_log_is_left_out(store: Store, tmp_path: Path) -> None:
    (log,) = (store.folder / "wal").iterdir()
    with log.open("ab") as file:
        file.write(b"SPf1 half of a frame")
    back_up(store.folder, tmp_path / "copy")
    assert (tmp_path / "copy" / "wal" / log.name).stat().st_size == log.stat().st_size - 20


def test_where_no_store_is_nothing_is_made(tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreMissing):
            back_up(source, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_is_written_to_is_left_alone(store: Store, tmp_path: Path) -> None:
    back_up(store.folder, tmp_path / "copy")
    copy = opened(tmp_path / "copy")
    with pytest.raises(StoreBusy):
        back_up(store.folder, tmp_path / "copy")
    copy.append([events([100])])
    copy.flush()
    copy.close()
    with pytest.raises(BackupRefused, match="written to since"):
        back_up(store.folder, tmp_path / "copy")
    assert 100 in numbers(tmp_path / "copy")


def test_a_copy_that_has_events_of_its_own_in_its_log_is_refused(store: Store, tmp_path: Path) -> None:
    back_up(store.folder, tmp_path / "copy")
    copy = opened(tmp_path / "copy")
    copy.append([events([99])])
    copy.close()
    with pytest.raises(BackupRefused, match="written to since"):
        back_up(store.folder, tmp_path / "copy")
    assert 99 in numbers(tmp_path / "copy")


def test_a_copy_whose_disk_fails_says_nothing_of_the_store(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(store.folder, tmp_path / "copy")
    store.append([events([8])])
    store.flush()

    def fails(_: Target, __: Path, draft: Path, ___: int) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(draft))

    monkeypatch.setattr(Target, "draft", fails)
    with pytest.raises(OSError, match="Input/output"):
        back_up(store.folder, tmp_path / "copy")
    assert numbers(tmp_path / "copy") == list(range(8))
