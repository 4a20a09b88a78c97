"""What a store lets go, and packs, to stay within its bounds: of sources, of age and of memory."""

from collections.abc import Callable

import pytest

from log_cache.query import Meta
from log_cache.source import Source
from log_cache.store import Store, StoreLimits
from tests.unit.log_cache.envelopes import ALL, batch, batch_of_times, envelope, filled, times


def test_a_source_over_its_count_loses_its_oldest_by_time() -> None:
    store = filled(batch_of_times(9, 1, 8, 2, 7, 3), 6, per_source=4)

    assert store.meta()[b"app"] == Meta(count=4, expired=2, oldest=3, newest=9)
    assert times(store.follow(b"app", None, ALL).take(9).batch) == [9, 8, 7, 3]


def test_a_source_over_its_bytes_loses_its_oldest_but_never_all() -> None:
    store = filled(batch_of_times(*range(100), size=500), 100, per_source_bytes=10_000)
    alone = filled(batch_of_times(1, 2, size=500), 2, per_source_bytes=100)

    left = times(store.follow(b"app", None, ALL).take(100).batch)

    assert left == list(range(100 - len(left), 100))
    assert store.raw_bytes <= 10_000 < store.raw_bytes + 1200
    assert times(alone.follow(b"app", None, ALL).take(9).batch) == [2]


def test_what_is_older_than_the_retention_goes() -> None:
    store = filled(batch_of_times(5, 10, 4, 11), 4, retention_ns=10)

    assert store.expire(20) == 2
    assert times(store.follow(b"app", None, ALL).take(9).batch) == [10, 11]


def test_some_sources_are_looked_at_alone() -> None:
    store = filled(batch_of_times(5, 20, source="a"), 2, retention_ns=10)
    store.put(batch_of_times(6, 30, source="b"), 2)

    assert store.aged(20) == [b"a", b"b"]
    assert store.expire(20, [b"b", b"gone"]) == 1
    assert store.aged(20) == [b"a"]
    assert store.meta([b"b", b"gone"]) == {b"b": Meta(count=1, expired=1, oldest=30, newest=30)}


def test_pruning_takes_the_oldest_whosever_they_are() -> None:
    store = filled(batch_of_times(*range(0, 2000, 2), source="a", size=200), 1000, chunk_bytes=4096)
    store.put(batch_of_times(*range(1, 2000, 2), source="b", size=200), 1000)
    store.settle()

    gone = store.prune(store.held_bytes // 4)

    metas, packed_together = store.meta(), 50
    assert abs(metas[b"a"].oldest - metas[b"b"].oldest) < packed_together
    assert abs(min(metas[b"a"].oldest, metas[b"b"].oldest) - gone) < packed_together
    assert 0 < gone < 1000


@pytest.mark.parametrize("strange", [0, 2**62])
def test_a_strange_time_neither_dooms_nor_saves_what_it_is_packed_with(strange: int) -> None:
    store = Store(StoreLimits(chunk_bytes=4096))
    for source, start in (("old", 1000), ("young", 5000)):
        times = [strange if at % 20 == 3 else start + at for at in range(1000)]
        store.put(batch_of_times(*times, source=source, size=200), 1000)
    store.settle()

    store.prune(store.held_bytes // 4)

    assert store.meta()[b"young"].expired == 0


def test_pruning_is_as_quick_when_times_are_in_no_order() -> None:
    times = [at * 7919 % 20_011 for at in range(20_000)]
    store = filled(batch_of_times(*times, source="a", size=200), 20_000, chunk_bytes=4096)
    held = store.held

    gone = store.prune(store.held_bytes // 10)

    assert held // 20 < gone < held // 5


def test_pruning_the_noisiest_leaves_the_quiet_alone() -> None:
    store = filled(batch_of_times(*range(1000), source="quiet", size=200), 1000, victims="noisiest", chunk_bytes=4096)
    store.put(batch_of_times(*range(5000, 10_000), source="noisy", size=200), 5000)
    store.settle()

    store.prune(store.held_bytes // 4)

    assert store.meta()[b"quiet"].count == 1000
    assert store.meta()[b"noisy"].expired > 0


def test_a_burst_never_takes_more_than_the_budget() -> None:
    store = Store(StoreLimits())
    store.budget_bytes = 100_000

    most = 0
    for start in range(0, 100_000, 1000):
        store.put(batch_of_times(*range(start, start + 1000), size=300), 1000)
        most = max(most, store.held_bytes - 1000 * 400 * store.waiting // 1000)

    assert most <= 100_000
    assert store.held + store.expired + store.waiting == 100_000


def test_many_small_sources_keep_few_chunks_and_little_memory() -> None:
    store = Store(StoreLimits(head_bytes=200_000))

    for time in range(300):
        store.put(batch(*(envelope(time, source=str(source), size=100) for source in range(100))), 100)
    store.settle()

    assert store.raw_bytes > 3_000_000
    assert store.held_bytes < 200_000 + store.raw_bytes // 3
    assert names_of_all(store, 100) == 300


def test_heads_are_packed_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(StoreLimits(head_bytes=400_000))
    packed: list[int] = []
    monkeypatch.setattr(store, "_seal", _noting(packed, store._seal))
    sources = [str(number) for number in range(50)]

    most = 0
    for time in range(100):
        packed.clear()
        store.put(batch(*(envelope(time, source=source, size=300) for source in sources)), 50)
        store.settle()
        most = max(most, sum(packed))

    came = 50 * 400
    assert 0 < most < 3 * came
    assert store.held_bytes < 400_000 + store.raw_bytes // 3


def _noting(packed: list[int], seal: Callable[[Source], None]) -> Callable[[Source], None]:
    def noted(source: Source) -> None:
        packed.append(source.head.held_bytes)
        seal(source)

    return noted


def names_of_all(store: Store, sources: int) -> int:
    """Count what each of the sources holds, which has to be the same."""
    counts = {store.follow(str(source).encode(), None, ALL).take(10_000).count for source in range(sources)}
    assert len(counts) == 1
    return counts.pop()
