import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_store.events import to_events
from event_store.storage import (
    StorageSettings,
    Store,
    StoreBusy,
    StoreClosed,
)
from event_store.storage import manifest as manifests
from tests.kernel_results import admitted
from tests.strategies import batches, odd_batches
from tests.unit.event_store.storage.events import batch_of, events, numbers_in, opened, rows_of


def test_what_was_appended_is_there_at_once_and_after_a_flush(store: Store) -> None:
    assert store.append([events([1, 2], t_a=["x", None]), events([3], f_n_num=[2.5])]) == 3
    before = rows_of(store.snapshot())
    store.flush()

    assert [(row["message"], row["seq"], row.get("t_a"), row.get("f_n$num")) for row in before] == [
        *(("1", 0, "x", None), ("2", 1, None, None), ("3", 2, None, 2.5)),
    ]
    after = store.snapshot()
    assert rows_of(after) == before
    assert (after.hot, len(after.segments), after.rows) == ((), 1, 3)


def test_a_snapshot_stays_as_it_was(store: Store) -> None:
    store.append([events([1])])
    taken = store.snapshot()
    store.append([events([2])])
    store.flush()

    assert numbers_in(taken) == [1]


def test_an_append_of_nothing_is_none(store: Store) -> None:
    store.append([events([1])])

    assert store.append([]) == store.append([events([])]) == 1
    assert store.snapshot().rows == 1


def test_what_is_no_event_is_refused_and_nothing_of_it_kept(store: Store) -> None:
    with pytest.raises(ValueError, match="no time"):
        store.append([events([1]), batch_of(message=["x"])])

    assert store.snapshot().rows == 0


def test_a_second_writer_is_refused(store: Store) -> None:
    with pytest.raises(StoreBusy, match=str(store.folder)):
        opened(store.folder)


def test_a_folder_is_free_again_when_it_was_closed(store: Store) -> None:
    store.append([events([1])])
    store.close()

    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == [1]
        again.append([events([2])])
        for change in (lambda: store.append([events([3])]), store.flush):
            with pytest.raises(StoreClosed, match=str(store.folder)):
                change()
        assert numbers_in(again.snapshot()) == [1, 2]


@pytest.mark.parametrize(("flush_rows", "due"), [(3, True), (4, False)])
def test_a_flush_is_due_by_number(tmp_path: Path, flush_rows: int, due: bool) -> None:
    with closing(opened(tmp_path, flush_rows=flush_rows)) as store:
        store.append([events([1, 2, 3])])

        assert store.flush_due() is due


def test_a_flush_is_due_by_size(tmp_path: Path) -> None:
    with closing(opened(tmp_path, flush_bytes=1000)) as store:
        assert not store.flush_due()
        store.append([events(range(100))])
        assert store.flush_due()


def test_a_flush_is_due_by_age(tmp_path: Path) -> None:
    now = [100.0]
    with closing(Store.open(tmp_path, StorageSettings(flush_s=5), clock=lambda: now[0])) as store:
        now[0] = 200.0
        assert not store.flush_due()
        store.append([events([1])])
        now[0] = 204.0
        store.append([events([2])])
        assert not store.flush_due()
        now[0] = 205.0
        assert store.flush_due()
        store.flush()
        assert not store.flush_due()


def test_writing_waits_for_a_flush_when_too_much_is_in_memory(tmp_path: Path) -> None:
    with closing(opened(tmp_path, flush_rows=10)) as store:
        for number in range(50):
            store.append([events([number])])
            assert store.stats().hot_events <= 20
        assert numbers_in(store.snapshot()) == list(range(50))


def test_writing_slows_down_before_it_has_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    monkeypatch.setattr("event_store.storage.store.time.sleep", paused.append)

    with closing(opened(tmp_path, flush_rows=10)) as store:
        for number in range(20):
            store.append([events([number])])
        assert len(paused) == 9
        assert paused == sorted(paused)
        store.append([events(range(20, 24))])  # it flushes
        store.append([events(range(24, 30))])
        assert len(paused) == 9


def test_writing_waits_for_the_flush_that_runs_and_makes_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, saving, goes_on = manifests.save, threading.Event(), threading.Event()

    def slow(folder: Path, manifest: manifests.Manifest) -> None:
        saving.set()
        goes_on.wait()
        real(folder, manifest)

    with closing(opened(tmp_path, flush_rows=10)) as store, ThreadPoolExecutor(2) as threads:
        store.append([events(range(15))])
        monkeypatch.setattr("event_store.storage.store.save", slow)
        flush = threads.submit(store.flush)
        saving.wait()
        store.append([events(range(15, 22))])
        append = threads.submit(store.append, [events(range(22, 30))])
        goes_on.set()
        flush.result()
        append.result()
        assert (len(store.segments()), store.stats().hot_events) == (1, 15)
        assert numbers_in(store.snapshot()) == list(range(30))


def test_writing_goes_on_during_a_flush(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append([events([1])])
    real = manifests.save

    def meanwhile(folder: Path, manifest: manifests.Manifest) -> None:
        store.append([events([2])])
        assert numbers_in(store.snapshot()) == [1, 2]
        real(folder, manifest)

    monkeypatch.setattr("event_store.storage.store.save", meanwhile)
    store.flush()

    assert numbers_in(store.snapshot()) == [1, 2]
    assert store.stats().hot_events == 1
    store.close()
    with closing(opened(store.folder)) as again:
        assert numbers_in(again.snapshot()) == [1, 2]


def test_ten_thousand_tags_are_kept(store: Store) -> None:
    for part in range(20):
        store.append([events([part], **{f"t_tag{part * 500 + n}": [str(n)] for n in range(500)})])
    store.append([events(range(20, 30), t_often=["x"] * 10)])

    for _ in range(2):
        (segment,) = store.snapshot().segments or (None,)
        rows = rows_of(store.snapshot())
        tags = {key: text for row in rows for key, text in [*row.items(), *row.get("attrs", ())] if key[:5] == "t_tag"}
        assert tags == {f"t_tag{part * 500 + n}": str(n) for part in range(20) for n in range(500)}
        assert [row["t_often"] for row in rows[20:]] == ["x"] * 10
        store.flush()
    assert segment is not None
    assert sum(name.startswith("t_") for name in segment.columns) == 500


def test_messages_of_ten_megabytes_are_kept(store: Store) -> None:
    long = os.urandom(5 << 20).hex()
    store.append([batch_of(time=[1, 2], message=[long, None], message_raw=[None, b"\xff" * 100])])
    store.flush()

    rows = rows_of(store.snapshot())
    assert (rows[0]["message"] == long, rows[1]["message_raw"]) == (True, b"\xff" * 100)


def test_the_numbers_balance(store: Store) -> None:
    store.append([events(range(10))])
    store.flush()
    store.append([events(range(5))])

    stats = store.stats()
    (segment,) = store.snapshot().segments
    assert (stats.events, stats.segments, stats.hot_events, stats.next_seq, stats.version) == (15, 1, 5, 15, 1)
    assert stats.index_bytes == (store.folder / segment.index_file).stat().st_size
    assert stats.segment_bytes == segment.bytes == store.snapshot().path(segment).stat().st_size
    assert stats.hot_bytes == sum(batch.get_total_buffer_size() for batch in store.snapshot().hot)
    assert stats.set_aside == 0
    assert stats.recovery_s > 0


@settings(max_examples=15)
@given(st.lists(batches() | odd_batches, min_size=1, max_size=3))
def test_whatever_a_firehose_carries_is_kept(tmp_path_factory: pytest.TempPathFactory, carried: list[bytes]) -> None:
    made = [to_events(admitted(batch)) for batch in carried]

    with closing(opened(tmp_path_factory.mktemp("store"))) as store:
        store.append(made[:1])
        store.append(made[1:])
        before = rows_of(store.snapshot())
        store.flush()
        assert repr(rows_of(store.snapshot())) == repr(before)  # a NaN is not equal to itself
    assert len(before) == sum(batch.num_rows for batch in made)
