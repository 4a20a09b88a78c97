"""Segments are joined beside whatever else goes on, and whatever goes wrong on the way."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from event_store.storage import (
    KeepRule,
    Reader,
    Segment,
    StorageSettings,
    Store,
    StoreClosed,
    StoreFull,
    StoreLocked,
    index_files,
    manifest,
    segments,
    tending,
    verifying,
)
from event_store.storage.segments import strays
from tests.unit.event_store.storage.events import START, events, flip, key_file, numbers_in, opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(opened(tmp_path / "store", remove_after_s=0)) as store:
        for part in range(4):
            store.append([events(range(part * 10, part * 10 + 10))], b"mark")
            store.flush()
        yield store


def test_a_snapshot_and_a_reader_see_each_event_once_before_and_after(store: Store) -> None:
    reader = Reader.open(store.folder)
    before = store.snapshot()
    assert store.compact(everything=True) == 4

    for snapshot in (before, store.snapshot(), reader.snapshot()):
        assert numbers_in(snapshot) == list(range(40))
    assert len(reader.snapshot().segments) == 1
    del before, snapshot
    store.compact()
    assert strays(store.folder, store.segments()) == []


@pytest.mark.parametrize("when", ["write", "rename", "manifest", "manifest is there"])
def test_what_is_cut_short_leaves_a_good_store(store: Store, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    def save_and_die(folder: Path, next_one: manifest.Manifest) -> None:
        real(folder, next_one)
        raise Killed

    real = manifest.save
    with monkeypatch.context() as patch:
        match when:
            case "write":
                patch.setattr(segments.parquet, "write_table", die)
            case "rename":
                patch.setattr(segments, "sync_directory", die)
            case "manifest":
                patch.setattr("event_store.storage.store.save", die)
            case _:
                patch.setattr("event_store.storage.store.save", save_and_die)
        with pytest.raises(Killed):
            store.compact(everything=True)
    assert numbers_in(Reader.open(store.folder).snapshot()) == list(range(40))
    store.close()

    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == list(range(40))
        assert again.stats().damages == ()
        assert strays(store.folder, again.segments()) == []
        again.compact(everything=True)
        assert numbers_in(again.snapshot()) == list(range(40))
        assert len(again.segments()) == 1


def test_a_reader_that_meets_a_missing_file_reads_the_manifest_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = verifying.look, []

    def late(folder: Path, segment: Segment) -> None:
        looks.append(segment)
        if len(looks) == 1:
            store.compact(everything=True)
        real(folder, segment)

    monkeypatch.setattr(verifying, "look", late)
    reader = Reader.open(store.folder)

    assert numbers_in(reader.snapshot()) == list(range(40))
    assert reader.damages == ()
    assert not (store.folder / looks[0].file).exists()


def test_a_full_disk_leaves_all_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreFull, match="No space left"):
            store.compact(everything=True)
    assert numbers_in(store.snapshot()) == list(range(40))
    assert strays(store.folder, store.segments()) == []

    assert store.compact(everything=True) == 4


@pytest.mark.parametrize("harm", [lambda path: flip(path, 700), lambda path: os.truncate(path, 9), Path.unlink])
def test_a_damaged_segment_is_set_aside_and_never_joined(store: Store, harm: Callable[[Path], None]) -> None:
    bad = store.segments()[1]
    harm(store.folder / bad.file)
    store.compact(everything=True)
    store.compact(everything=True)

    assert numbers_in(store.snapshot()) == [*range(10), *range(20, 40)]
    assert [damage.file for damage in store.stats().damages] == [bad.file]
    assert len(store.segments()) == 1


def test_what_arrow_cannot_join_is_left_and_not_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def too_much(*_: object) -> None:
        tries.append(1)
        raise pa.ArrowCapacityError("more than 2 GiB")

    monkeypatch.setattr(tending, "carry_out", too_much)
    assert store.compact(everything=True) == store.compact(everything=True) == 0
    assert len(tries) == 1
    assert numbers_in(store.snapshot()) == list(range(40))


def test_writing_flushing_and_verifying_go_on_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tending.carry_out

    def meanwhile(*given: object) -> list[Segment]:
        made = real(*given)  # type: ignore[arg-type]
        store.append([events([99])])
        store.flush()
        bad = store.segments()[0]
        if len(store.segments()) == 5:
            flip(store.folder / bad.file, 700)
            assert store.verify()
        return made

    with monkeypatch.context() as patch:
        patch.setattr(tending, "carry_out", meanwhile)
        assert store.compact(everything=True) == 0
    assert numbers_in(store.snapshot()) == [*range(10, 40), 99]
    assert strays(store.folder, store.segments()) == []
    assert store.compact(everything=True) == 4


def test_what_runs_ends_undone_when_the_store_is_closed(store: Store) -> None:
    store._tending.stop.set()
    with pytest.raises(StoreClosed, match=str(store.folder)):
        store.compact(everything=True)

    assert numbers_in(store.snapshot()) == list(range(40))


def test_what_is_sealed_is_sealed_again_with_the_key_that_comes_first(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    sealed = StorageSettings(key_file=keys)
    folder = tmp_path / "store"
    with closing(opened(folder)) as store:
        store.append([events([1], t_secret=["plain text"])])
        store.flush()
    for letters, number in [((b"a",), 2), ((b"b", b"a"), 3)]:
        key_file(keys, *letters)
        with closing(Store.open(folder, sealed)) as store:
            store.append([events([number], t_secret=["hidden text"])])
            store.flush()
            store.append([events([number + 10], t_secret=["hidden text"])])
            assert Reader.open(folder, key_file=keys).snapshot().rows == store.snapshot().rows
    assert not any(b"hidden" in path.read_bytes() for path in folder.rglob("*") if path.is_file())

    for letters in [(b"a",), (b"c",), ()]:
        settings = StorageSettings(key_file=key_file(keys, *letters) if letters else None)
        with pytest.raises(StoreLocked, match=r"segments/.*\.parquet is sealed with"):
            Store.open(folder, settings)
        with pytest.raises(StoreLocked, match=r"segments/.*\.parquet is sealed with"):
            Reader.open(folder, key_file=settings.key_file)
    key_file(keys, b"b", b"a")
    with closing(Store.open(folder, sealed)) as store:
        store.flush()
        store.compact(everything=True)
        assert sorted(numbers_in(store.snapshot())) == [1, 2, 3, 12, 13]
        assert {one.key for one in store.segments()} == {store._keys.current if store._keys else ""}
    key_file(keys, b"b")
    with closing(Store.open(folder, sealed)) as store:
        assert sorted(numbers_in(store.snapshot())) == [1, 2, 3, 12, 13]
        assert store.verify() == ()
        found = store.snapshot().dataset(store.segments()[0]).to_table(columns=["message"])
        assert sorted(found["message"].to_pylist()) == ["1", "12", "13", "2", "3"]
    assert not any(b"plain text" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def without_indexes(folder: Path) -> None:
    """Make a store, which must be closed, one of before there were indexes."""
    before = manifest.load(folder)
    assert before is not None
    for segment in before.segments:
        (folder / segment.index_file).unlink()
    old = tuple(replace(one, index_bytes=0, index_checksum="") for one in before.segments)
    manifest.save(folder, replace(before, segments=old))


@pytest.mark.parametrize("is_sealed", [False, True])
def test_segments_of_before_there_were_indexes_get_one(tmp_path: Path, is_sealed: bool) -> None:
    sealed = {"key_file": key_file(tmp_path / "keys", b"k")} if is_sealed else {}
    folder = tmp_path / "store"
    with closing(opened(folder, **sealed)) as store:
        for part in range(2):
            store.append([events(range(part * 10, part * 10 + 10))])
            store.flush()
    without_indexes(folder)

    with closing(opened(folder, **sealed)) as store:
        assert [store.snapshot().index(one) for one in store.segments()] == [None, None]
        assert (len(store.unindexed()), store.verify(), store.stats().index_bytes) == (2, (), 0)
        store.compact(START)
        for _ in range(2):
            assert (store.unindexed(), len(store.segments()), store.verify()) == ((), 2, ())
            found = [store.snapshot().index(one) for one in store.segments()]
            assert [one.ranges(["13"]) for one in found if one is not None] == [[], [(0, 10)]]
            store.compact(START)
    with closing(opened(folder, **sealed)) as store:
        assert store.stats().index_bytes > 0
        assert strays(folder, store.segments()) == []


def test_an_index_that_cannot_be_made_is_not_tried_again_and_the_segment_serves(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.folder / store.segments()[0].index_file).unlink()
    assert len(store.verify()) == 1
    tries = []

    def too_much(*_: object) -> None:
        tries.append(1)
        raise MemoryError

    monkeypatch.setattr(index_files, "renew", too_much)
    for _ in range(2):
        assert store.compact(START) == 0
    assert len(tries) == 1
    assert numbers_in(store.snapshot()) == list(range(40))


def test_an_index_that_was_made_for_a_segment_that_is_no_more_goes_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = store.segments()[0]
    (store.folder / bad.index_file).unlink()
    store.verify()
    real = index_files.renew

    def late(folder: Path, segment: Segment, *rest: object) -> Segment:
        made = real(folder, segment, *rest)  # type: ignore[arg-type]
        store.set_aside({segment: "found meanwhile"})
        return made

    monkeypatch.setattr(index_files, "renew", late)
    store.compact(START)

    assert bad not in store.segments()
    assert strays(store.folder, store.segments()) == []
    assert numbers_in(store.snapshot()) == list(range(10, 40))


def test_an_index_goes_with_its_segment(store: Store) -> None:
    before = store.segments()
    assert store.compact(everything=True) == 4

    (joined,) = store.segments()
    assert not any((store.folder / one.index_file).exists() for one in before)
    found = store.snapshot().index(joined)
    assert found is not None
    assert found.values.of("source_id") == {"web"}


@pytest.mark.parametrize("is_there", [False, True])
def test_a_manifest_that_cannot_be_saved_leaves_no_joined_segment_unless_it_is_there_after_all(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    real = manifest.save

    def fail(folder: Path, next_one: manifest.Manifest) -> None:
        if is_there:
            real(folder, next_one)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("event_store.storage.store.save", fail)
        with pytest.raises(StoreFull, match="Input/output error"):
            store.compact(everything=True)
    assert bool(strays(store.folder, store.segments())) is is_there
    assert numbers_in(store.snapshot()) == numbers_in(Reader.open(store.folder).snapshot()) == list(range(40))
    store.close()
    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == list(range(40))


def test_nothing_is_joined_in_vain_where_a_segment_is_damaged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> list[Segment]:
        raise AssertionError("joined in vain")

    flip(store.folder / store.segments()[1].file, 700)
    with monkeypatch.context() as patch:
        patch.setattr(tending, "carry_out", never)
        assert store.compact(everything=True) == 0
    assert store.compact(everything=True) == 3


def test_nothing_is_remembered_of_segments_that_are_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST_SOURCES", 0)
    with closing(opened(tmp_path, keep=[KeepRule(sources="x", days=1)], keep_days=2)) as store:
        store.append([events([1])])
        store.flush()
        now = START + int(1.5 * 86400e9)
        monkeypatch.setattr(tending, "carry_out", refuse_to_join)
        store.compact(now)
        store.compact(now, everything=True)
        kept = store._tending
        assert len(kept._sources) == 1
        kept._left.add(store.segments()[0])
        store.set_aside({store.segments()[0]: "damaged"})
        store.compact(now)
        assert (kept._sources, kept._left) == ({}, set())


def refuse_to_join(*_: object) -> None:
    raise pa.ArrowInvalid("too much")
