"""A disk that is full or lies, files that it damages, memory that runs out: what the store makes of them."""

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from event_store.storage import (
    Damage,
    Reader,
    Store,
    StoreFull,
    segments,
    verifying,
)
from event_store.storage import manifest as manifests
from event_store.storage.wal import files
from tests.unit.event_store.storage.events import START, events, flip, numbers_in, opened


def refuse(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def full(call: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        yield


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond `size`: a write stops in its middle, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_full_disk_takes_nothing_and_goes_on_when_there_is_room(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store.append([events([1])], b"mark 1")
    with full(call, monkeypatch):
        for _ in range(2):
            with pytest.raises(StoreFull, match=f"{store.folder}: No space left"):
                store.append([events([2])], b"mark 2")
    assert numbers_in(store.snapshot()) == [1]
    store.append([events([3])], b"mark 3")
    store.close()

    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == [1, 3]
        assert again.marks() == (b"mark 1", b"mark 3")
        assert again.stats().damages == ()


def test_a_write_that_stops_in_its_middle_does_not_count(store: Store) -> None:
    store.append([events(range(10))])
    with largest_file(store.stats().wal_bytes + 500), pytest.raises(StoreFull, match="File too large"):
        store.append([events(range(10, 1000))])
    store.append([events([10])])

    assert numbers_in(store.snapshot()) == list(range(11))
    store.close()
    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == list(range(11))


@pytest.mark.parametrize("call", ["fsync", "pwrite"])
def test_a_flush_that_finds_no_room_is_made_later(store: Store, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    store.append([events([1])], b"mark")
    with full(call, monkeypatch), pytest.raises(StoreFull, match="No space left"):
        store.flush()
    assert numbers_in(store.snapshot()) == [1]
    store.append([events([2])])
    store.flush()

    assert numbers_in(store.snapshot()) == [1, 2]
    assert store.stats().hot_events == 0
    store.close()
    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == [1, 2]


def test_a_manifest_that_was_replaced_and_not_known_to_be_does_no_harm(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = manifests.save

    def unsure(folder: Path, manifest: manifests.Manifest) -> None:
        real(folder, manifest)
        raise OSError(errno.EIO, "Input/output error")

    store.append([events([1])])
    with monkeypatch.context() as patch:
        patch.setattr("event_store.storage.store.save", unsure)
        with pytest.raises(StoreFull):
            store.flush()
    store.append([events([2])])
    store.close()

    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == [1, 2]
        again.flush()
        assert numbers_in(again.snapshot()) == [1, 2]


def test_a_segment_that_cannot_be_opened_for_want_of_files_is_not_damaged(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([events([1])])
    store.flush()
    (segment,) = store.snapshot().segments

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", refuse)
        with pytest.raises(OSError, match="Too many"):
            verifying.verify(store.folder, segment)
    assert numbers_in(store.snapshot()) == [1]


@pytest.mark.parametrize("harm", [lambda path: flip(path, 700), lambda path: os.truncate(path, 9), Path.unlink])
def test_a_damaged_segment_is_found_and_set_aside_and_the_rest_serves(
    store: Store, harm: Callable[[Path], None]
) -> None:
    for number in range(3):
        store.append([events(range(number * 10, number * 10 + 10))])
        store.flush()
    store.append([events([30])])
    assert store.verify() == ()
    bad = store.snapshot().segments[1]
    harm(store.snapshot().path(bad))

    (damage,) = store.verify()

    assert (damage.file, damage.events) == (bad.file, 10)
    assert store.stats().damages == (damage,)
    assert numbers_in(store.snapshot()) == [*range(10), *range(20, 31)]
    assert store.verify() == ()
    store.close()
    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == [*range(10), *range(20, 31)]
        assert isinstance(damage, Damage)


@pytest.mark.parametrize("harm", [lambda path: flip(path, 70), lambda path: os.truncate(path, 9), Path.unlink])
def test_a_damaged_index_is_found_and_told_once_and_its_segment_serves_and_gets_another(
    store: Store, harm: Callable[[Path], None]
) -> None:
    for number in range(2):
        store.append([events(range(number * 10, number * 10 + 10))])
        store.flush()
    first, second = store.segments()
    harm(store.folder / first.index_file)
    snapshot = store.snapshot()

    for _ in range(2):
        assert snapshot.index(first) is None
        assert snapshot.index(second) is not None
    (damage,) = store.stats().damages
    assert (damage.file, damage.events) == (first.index_file, 0)
    assert store.verify() == (damage,)
    assert (store.unindexed(), store.segments()) == ((first,), (first, second))
    assert numbers_in(snapshot) == list(range(20))

    store.compact(START)
    assert (store.unindexed(), store.verify(), store.stats().damages) == ((), (), (damage,))
    (again, _) = store.segments()
    found = store.snapshot().index(again)
    assert found is not None
    assert (found.ranges(["7"]), found.ranges(["77"])) == ([(0, 10)], [])
    assert numbers_in(store.snapshot()) == list(range(20))


def test_verify_finds_a_damaged_index_too_and_a_reader_tells_of_it(store: Store) -> None:
    store.append([events(range(10))])
    store.flush()
    (segment,) = store.segments()
    flip(store.folder / segment.index_file, 30)
    reader = Reader.open(store.folder)

    assert [reader.snapshot().index(segment) for _ in range(2)] == [None, None]
    assert [damage.file for damage in reader.damages] == [segment.index_file]
    (damage,) = store.verify()
    assert (damage.file, damage.what) == (segment.index_file, "its checksum is wrong")
    store.compact(START)
    assert reader.snapshot().index(store.segments()[0]) is not None


def test_an_index_that_cannot_be_opened_for_want_of_files_is_not_damaged(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([events([1])])
    store.flush()

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", refuse)
        assert store.snapshot().index(store.segments()[0]) is None
    assert store.stats().damages == ()
    assert store.snapshot().index(store.segments()[0]) is not None


def test_what_the_disk_refused_and_a_power_cut_brings_back_is_not_doubled(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_sync(handle: int) -> None:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    store.append([events([0])])
    ((_, path),) = files(store.folder / "wal")
    written: list[bytes] = []

    def keep_and_refuse(_: int) -> None:
        written.append(path.read_bytes())
        no_sync(_)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", keep_and_refuse)
        patch.setattr(os, "fsync", no_sync)
        with pytest.raises(StoreFull):
            store.append([events([1])])
        path.write_bytes(written[0])  # as if nothing had been cut off
        with pytest.raises(StoreFull):
            store.append([events([1])])
    store.append([events([1])])
    store.close()

    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == [0, 1]


def test_a_manifest_that_cannot_be_saved_leaves_no_segments(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append([events([1])])
    monkeypatch.setattr(manifests, "write_file", refuse)
    with pytest.raises(StoreFull, match="No space left"):
        store.flush()

    assert segments.strays(store.folder, ()) == []
    monkeypatch.undo()
    store.flush()
    assert numbers_in(store.snapshot()) == [1]


def test_what_has_no_memory_to_be_joined_was_appended_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise MemoryError

    monkeypatch.setattr("event_store.storage.hot.merged", fail)
    for number in range(40):
        store.append([events([number])])
    assert numbers_in(store.snapshot()) == list(range(40))


def test_a_damaged_segment_stays_where_it_is_until_the_manifest_forgets_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([events([1])])
    store.flush()
    (bad,) = store.segments()
    flip(store.folder / bad.file, 700)
    with monkeypatch.context() as patch:
        patch.setattr(manifests, "write_file", refuse)
        with pytest.raises(StoreFull, match="No space left"):
            store.verify()
    assert (store.folder / bad.file).exists()
    assert store.segments() == (bad,)

    (damage,) = store.verify()
    assert damage.file == bad.file
    assert store.stats().set_aside == 1
    assert segments.strays(store.folder, ()) == []
