"""The journal as its store has it."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from event_store.storage import Store, StoreFull
from event_store.storage.wal import files
from tests.unit.event_store.storage.events import events, key_file, numbers_in, opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(opened(tmp_path / "store")) as store:
        yield store


def test_events_of_several_threads_are_forced_to_disk_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real, synced, entered, others_wait = os.fdatasync, [], threading.Event(), threading.Event()

    def slow(handle: int) -> None:
        synced.append(handle)
        entered.set()
        others_wait.wait()
        real(handle)

    monkeypatch.setattr(os, "fdatasync", slow)
    with ThreadPoolExecutor(8) as threads:
        ends = [threads.submit(store.append, [events([0])])]
        entered.wait()
        ends += [threads.submit(store.append, [events([number])]) for number in range(1, 8)]
        while len(store._journal._waiting) < 7:
            pass
        others_wait.set()

    assert len(synced) == 2
    assert sorted(end.result() for end in ends) == list(range(1, 9))
    assert sorted(numbers_in(store.snapshot())) == list(range(8))


def test_marks_outlive_flushes_and_restarts_and_none_comes_twice(tmp_path: Path) -> None:
    expected: list[bytes] = []
    for round_ in range(4):
        with closing(opened(tmp_path, remembered_bytes=60)) as store:
            assert store.marks() == tuple(expected)
            for number in range(3):
                mark = b"mark %d.%d" % (round_, number)
                store.append([events([number])], mark)
                expected = [*expected, mark][-7:]
                if number == round_:
                    store.flush()
            assert store.marks() == tuple(expected)


def test_the_marks_of_the_last_append_are_kept_however_many(tmp_path: Path) -> None:
    with closing(opened(tmp_path, remembered_bytes=60)) as store:
        store.append([events([1])], b"before")
        store.append([events([2])], b"m" * 100)
        assert store.marks() == (b"m" * 100,)
        store.flush()
    with closing(opened(tmp_path, remembered_bytes=60)) as store:
        assert store.marks() == (b"m" * 100,)


def test_marks_that_are_sealed_outlive_a_flush(tmp_path: Path) -> None:
    sealed = {"key_file": key_file(tmp_path / "keys", b"k")}
    with closing(opened(tmp_path / "store", **sealed)) as store:
        store.append([events([1])], b"mark")
        store.flush()
        assert store.marks() == (b"mark",)
    with closing(opened(tmp_path / "store", **sealed)) as store:
        assert store.marks() == (b"mark",)


def test_the_log_holds_nothing_that_was_flushed(store: Store) -> None:
    store.append([events([1])])
    store.flush()
    assert files(store.folder / "wal") == []

    store.append([events([2])], b"mark")
    store.flush()
    assert [seq for seq, _ in files(store.folder / "wal")] == [2]
    assert store.stats().wal_bytes < 200
    store.flush()
    assert store.stats().version == 2


def test_events_that_no_memory_is_left_for_are_not_written_either(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise MemoryError

    store.append([events([0])])
    for name in ("numbered", "merged", "pack"):
        with monkeypatch.context() as patch:
            patch.setattr(f"event_store.storage.journal.{name}", fail)
            with pytest.raises(StoreFull, match="no memory"):
                store.append([events([1])])
    store.append([events([2])])

    assert numbers_in(store.snapshot()) == [0, 2]
    store.close()
    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == [0, 2]
