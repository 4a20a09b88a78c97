"""A view shows one moment, for as long as anybody looks at it."""

import threading

import hypothesis.strategies as st
import pytest
from hypothesis import given

from log_cache import view as view_module
from log_cache.cursor import Position
from log_cache.name_filter import NameFilter
from log_cache.store import Store, StoreLimits
from log_cache.view import TooMuch, View
from tests.unit.log_cache.envelopes import ALL, EVER, batch, batch_of_times, envelope, names, times


class Odd:
    """Lets through what has an odd time."""

    def __init__(self) -> None:
        self.longest = 0

    def apply(self, some: bytes) -> tuple[bytes, int]:
        self.longest = max(self.longest, len(times(some)))
        kept = [envelope(time) for time in times(some) if time % 2]
        return batch(*kept), len(kept)


def filled(*of_times: int, chunk_bytes: int = 500, size: int = 0) -> Store:
    store = Store(StoreLimits(chunk_bytes=chunk_bytes))
    store.put(batch_of_times(*of_times, size=size), len(of_times))
    return store


def pages(store: Store, limit: int, matching: Odd | None) -> list[int]:
    """Read a source in order of arrival, page by page."""
    position, read = None, []
    while True:
        taken = store.follow(b"app", position, ALL).take(limit, matching)
        assert taken.count == len(times(taken.batch)) <= limit
        read += times(taken.batch)
        position = taken.position
        if not taken.rest:
            return read


@given(of_times=st.lists(st.integers(0, 99), min_size=1, max_size=100), limit=st.integers(1, 30))
def test_paging_in_order_of_arrival_reads_everything_once(of_times: list[int], limit: int) -> None:
    assert pages(filled(*of_times), limit, None) == of_times


@given(of_times=st.lists(st.integers(0, 9), min_size=1, max_size=100), limit=st.integers(1, 30))
def test_paging_with_a_filter_reads_all_that_matches_once(of_times: list[int], limit: int) -> None:
    assert pages(filled(*of_times), limit, Odd()) == [time for time in of_times if time % 2]


@pytest.mark.parametrize("descending", [False, True])
def test_a_filter_never_gives_more_than_was_asked_for(descending: bool) -> None:
    view = filled(*range(1000)).view(b"app", *EVER, ALL, descending=descending)

    taken = view.take(7, Odd())

    assert times(taken.batch) == (list(range(999, 985, -2)) if descending else list(range(1, 15, 2)))


def test_a_filter_sees_a_few_hundred_at_once() -> None:
    odd = Odd()

    assert filled(*[0] * 3000, chunk_bytes=1 << 20).view(b"app", *EVER, ALL).take(1, odd).count == 0
    assert odd.longest <= 300


def test_what_a_filter_drops_counts_as_seen() -> None:
    taken = filled(0, 2, 1, 4).follow(b"app", None, ALL).take(9, Odd())

    assert (taken.count, taken.position, taken.rest) == (1, Position(1, 5), False)


def test_a_name_filter_applies() -> None:
    store = Store(StoreLimits())
    store.put(batch(envelope(1, "log"), envelope(2, "timer", kind="timer"), envelope(3, "other", kind="counter")), 3)

    assert names(store.view(b"app", *EVER, ALL).take(9, NameFilter("^http$")).batch) == ["timer"]


def test_a_limit_of_nothing_takes_nothing() -> None:
    taken = filled(1, 2).follow(b"app", None, ALL).take(0)

    assert (taken.count, taken.position, taken.rest) == (0, Position(1, 1), True)


def test_after_a_read_by_time_one_reads_on_behind_all_that_had_arrived() -> None:
    store = filled(5, 3)
    position = store.view(b"app", 4, 9, ALL).take(1).position

    store.put(batch_of_times(1), 1)

    assert times(store.follow(b"app", position, ALL).take(9).batch) == [1]


def test_what_expired_before_it_was_read_is_missed() -> None:
    store = Store(StoreLimits(per_source=3))
    store.put(batch_of_times(50), 1)
    position = store.follow(b"app", None, ALL).take(9).position

    store.put(batch_of_times(1, 2, 60, 3, 61), 5)
    taken = store.follow(b"app", position, ALL).take(9)

    assert (times(taken.batch), taken.missed) == ([60, 61], 3)


def test_everything_comes_in_order_of_arrival_a_chunk_at_a_time() -> None:
    view = filled(*range(200, 0, -1)).view(b"app", 10, 100, ALL, descending=True)

    several = list(view.batches())

    assert len(several) > 3
    assert [time for each in several for time in times(each)] == list(range(99, 9, -1))


def test_a_view_is_read_in_other_threads_while_the_store_goes_on() -> None:
    store = filled(*range(500), size=200, chunk_bytes=4000)
    views: list[View] = [
        store.view(b"app", *EVER, ALL),
        store.view(b"app", *EVER, ALL, descending=True),
        store.follow(b"app", None, ALL),
    ]
    read: list[list[int]] = []

    def look() -> None:
        for view in views:
            read.extend(times(view.take(1000).batch) for _ in range(10))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(500, 20_000, 500):
        store.put(batch_of_times(*range(start, start + 500), size=200), 500)
        store.prune(max(0, store.held_bytes - 20_000))
    for thread in threads:
        thread.join()

    ascending = list(range(500))
    assert len(read) == 90
    assert all(each in (ascending, ascending[::-1]) for each in read)
    assert store.meta()[b"app"].oldest > 500


@given(
    of_times=st.lists(st.integers(0, 5), max_size=60),
    limit=st.integers(1, 30),
    ties=st.integers(1, 60),
    descending=st.booleans(),
)
def test_what_has_the_time_of_the_last_comes_too(of_times: list[int], limit: int, ties: int, descending: bool) -> None:
    expected = sorted(of_times, reverse=descending)
    alike = sum(time == expected[limit - 1] for time in expected[limit:]) if limit <= len(expected) else 0

    taken = filled(*of_times).view(b"app", *EVER, ALL, descending=descending).take(limit, None, ties)

    size = limit + min(ties, alike)
    assert times(taken.batch) == expected[:size]
    assert (taken.count, taken.rest) == (min(size, len(expected)), size < len(expected))


def test_a_filter_applies_to_what_has_the_time_of_the_last_too() -> None:
    of_one_time = [envelope(1, kind, kind=kind) for kind in ("counter", "log", "timer", "log", "counter")]
    store = Store(StoreLimits())
    store.put(batch(*of_one_time), len(of_one_time))

    taken = store.view(b"app", *EVER, ALL).take(1, NameFilter("requests"), 9)

    assert (names(taken.batch), taken.count) == (["counter", "counter"], 2)


def test_what_is_too_large_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "MAX_TAKEN_BYTES", 1000)
    store = Store(StoreLimits())
    store.put(batch_of_times(*range(10), size=150), 10)

    for view in (store.view(b"app", *EVER, ALL), store.follow(b"app", None, ALL)):
        assert view.take(5).count == 5
        with pytest.raises(TooMuch):
            view.take(6)


def test_what_was_asked_for_is_there_though_all_of_its_moment_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "MAX_TAKEN_BYTES", 1000)
    view = filled(*[7] * 20, size=200).view(b"app", *EVER, ALL)

    assert view.take(1, None, 1000).count == 1


def test_large_envelopes_are_filtered_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sizes(Odd):
        most = 0

        def apply(self, some: bytes) -> tuple[bytes, int]:
            self.most = max(self.most, len(some))
            return super().apply(some)

    monkeypatch.setattr(view_module, "_FILTERED_AT_ONCE_BYTES", 1000)
    store, sizes = Store(StoreLimits()), Sizes()
    store.put(batch_of_times(*range(100), size=150), 100)

    assert times(store.view(b"app", *EVER, ALL).take(100, sizes).batch) == list(range(1, 100, 2))
    assert sizes.most <= 1000


def test_what_comes_too_late_ends_a_read() -> None:
    late = iter([False, False])
    store = filled(*range(3000), chunk_bytes=1 << 20)

    taken = store.follow(b"app", None, ALL).take(3000, Odd(), is_late=lambda: next(late, True))

    assert (times(taken.batch), taken.rest, taken.position.seq) == (list(range(1, 512, 2)), True, 513)
