import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from event_store.storage import Reader, Store, StoreDamaged, StoreFull, StoreMissing
from event_store.storage.manifest import NAME
from event_store.storage.wal import files
from tests.unit.event_store.storage.events import events, flip, numbers_in, opened

FOLLOWER = """
import sys
from pathlib import Path
from event_store.storage import Reader
reader = Reader.open(Path(sys.argv[1]))
for line in sys.stdin:
    snapshot = reader.snapshot()
    print(snapshot.rows, len(snapshot.segments), flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(opened(tmp_path / "store")) as store:
        yield store


def test_a_reader_sees_each_event_once_whatever_is_flushed(store: Store) -> None:
    reader = Reader.open(store.folder)
    assert numbers_in(reader.snapshot()) == []

    for number in range(60):
        store.append([events([number])], b"mark")
        if number % 7 == 3:
            store.flush()
        if number % 3 == 0:
            assert numbers_in(reader.snapshot()) == list(range(number + 1))
    snapshot = reader.snapshot()
    assert numbers_in(snapshot) == list(range(60))
    assert snapshot.segments == store.snapshot().segments
    assert snapshot.version == store.snapshot().version


def test_a_reader_that_comes_late_sees_all(store: Store) -> None:
    store.append([events([0])])
    store.flush()
    store.append([events([1])])

    assert numbers_in(Reader.open(store.folder).snapshot()) == [0, 1]


def test_a_reader_follows_over_a_restart_of_the_writer(store: Store) -> None:
    reader = Reader.open(store.folder)
    store.append([events([0])], b"mark")
    assert reader.snapshot().rows == 1
    store.close()
    ((_, path),) = files(store.folder / "wal")
    path.write_bytes(path.read_bytes() + b"torn")
    assert reader.snapshot().rows == 1

    with closing(opened(store.folder)) as again:
        again.append([events([1])], b"mark")
        assert numbers_in(reader.snapshot()) == [0, 1]
        again.flush()
        again.append([events([2])], b"mark")
        assert numbers_in(reader.snapshot()) == [0, 1, 2]


def test_a_frame_that_is_being_written_is_seen_when_it_is_whole(store: Store) -> None:
    store.append([events([0])])
    ((_, path),) = files(store.folder / "wal")
    begun = path.stat().st_size
    store.append([events([1])])
    whole = path.read_bytes()
    path.write_bytes(whole[: begun + 30])
    reader = Reader.open(store.folder)
    assert numbers_in(reader.snapshot()) == [0]

    path.write_bytes(whole)
    assert numbers_in(reader.snapshot()) == [0, 1]


def test_a_damaged_frame_is_passed_over(store: Store) -> None:
    for number in range(3):
        store.append([events([number])])
    ((_, path),) = files(store.folder / "wal")
    flip(path, path.stat().st_size // 2)
    reader = Reader.open(store.folder)

    assert numbers_in(reader.snapshot()) == [0, 2]
    store.append([events([3])])
    assert numbers_in(reader.snapshot()) == [0, 2, 3]


def test_a_damaged_segment_is_passed_over_and_reported(store: Store) -> None:
    for number in range(2):
        store.append([events([number])])
        store.flush()
    first = store.snapshot().segments[0]
    store.snapshot().path(first).write_bytes(b"")
    reader = Reader.open(store.folder)

    assert numbers_in(reader.snapshot()) == [1]
    assert [(damage.file, damage.events) for damage in reader.damages] == [(first.file, 1)]
    store.verify()
    assert numbers_in(reader.snapshot()) == [1]
    assert reader.damages == ()


def test_without_a_store_there_is_nothing_to_read(tmp_path: Path, store: Store) -> None:
    with pytest.raises(StoreMissing, match=str(tmp_path)):
        Reader.open(tmp_path)
    flip(store.folder / NAME, 60)
    with pytest.raises(StoreDamaged, match=NAME):
        Reader.open(store.folder)
    (store.folder / "wal").rmdir()
    (store.folder / NAME).unlink()
    with pytest.raises(StoreMissing):
        Reader.open(store.folder)


def test_another_process_sees_each_event_as_soon_as_it_is_acknowledged(store: Store) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOWER, str(store.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdin is not None
        assert follower.stdout is not None
        for number in range(1, 61):
            store.append([events([number])], b"mark")
            if number % 11 == 0:
                store.flush()
            follower.stdin.write("look\n")
            follower.stdin.flush()
            rows, segments = map(int, follower.stdout.readline().split())
            assert (rows, segments) == (number, number // 11)
        follower.stdin.close()


def test_while_others_write_and_flush_every_acknowledged_event_is_there_once(store: Store) -> None:
    acknowledged, done = [0], threading.Event()

    def write() -> None:
        try:
            for number in range(300):
                store.append([events([number])], b"mark")
                acknowledged[0] = number + 1
        finally:
            done.set()

    def flush() -> None:
        while not done.is_set():
            store.flush()

    def read() -> None:
        reader = Reader.open(store.folder)
        while not done.is_set():
            least = acknowledged[0]
            snapshot = reader.snapshot()
            hot = [seq for batch in snapshot.hot for seq in batch.column("seq").to_pylist()]
            flushed = [(segment.min_seq, segment.max_seq) for segment in snapshot.segments]
            seqs = sorted([seq for first, last in flushed for seq in range(first, last + 1)] + hot)
            assert seqs == list(range(len(seqs)))
            assert len(seqs) >= least

    with ThreadPoolExecutor(3) as threads:
        for running in [threads.submit(work) for work in (write, flush, read)]:
            running.result()


def test_what_was_cut_off_the_log_is_seen_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append([events([0])])
    reader = Reader.open(store.folder)
    real = os.fdatasync

    def seen_and_refused(handle: int) -> None:
        real(handle)
        assert numbers_in(reader.snapshot()) == [0, 1]
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", seen_and_refused)
        with pytest.raises(StoreFull):
            store.append([events([1])])
    assert numbers_in(reader.snapshot()) == [0]
    store.append([events([1])])
    assert numbers_in(reader.snapshot()) == numbers_in(store.snapshot()) == [0, 1]


def test_a_file_of_the_log_that_was_taken_back_as_a_whole_is_seen_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader.open(store.folder)

    def seen_and_refused(_: int) -> None:
        assert numbers_in(reader.snapshot()) == [1]
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", seen_and_refused)
        with pytest.raises(StoreFull):
            store.append([events([1])])
    assert numbers_in(reader.snapshot()) == []


def test_the_index_of_a_segment_that_was_joined_meanwhile_is_not_damaged(tmp_path: Path) -> None:
    with closing(opened(tmp_path, remove_after_s=0)) as store:
        for number in range(2):
            store.append([events([number])])
            store.flush()
        reader = Reader.open(store.folder)
        taken = reader.snapshot()
        store.compact(everything=True)

        assert [taken.index(one) for one in taken.segments] == [None, None]
        assert reader.damages == ()
        assert reader.snapshot().index(store.segments()[0]) is not None
