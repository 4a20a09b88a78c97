"""The store holds what a plain list would, in whatever order it comes, and counts what goes."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from log_cache.cursor import Position
from log_cache.query import Meta
from log_cache.store import Store, StoreLimits
from tests.unit.log_cache.envelopes import ALL, EVER, KINDS, batch_of_times, filled, names, times
from tests.unit.log_cache.model import Pair

NEAR = st.integers(0, 30)
TIMES = NEAR | st.sampled_from((-(2**63), 2**63 - 2, -1, 0, 10**18))
SOURCES = st.sampled_from(("a", "b", "c"))
puts = st.tuples(
    st.just("put"),
    st.lists(
        st.tuples(SOURCES, TIMES, st.sampled_from(sorted(KINDS)), st.sampled_from((0, 0, 300, 1500))), max_size=12
    ),
)
steps = (
    puts
    | puts
    | st.tuples(st.just("settle"), st.none())
    | st.tuples(st.just("prune"), st.integers(1, 6000))
    | st.tuples(st.just("expire"), st.integers(0, 60))
    | st.tuples(
        st.just("view"), st.tuples(SOURCES, TIMES, TIMES, st.integers(1, ALL), st.booleans(), st.integers(0, 9))
    )
    | st.tuples(st.just("follow"), st.tuples(SOURCES, st.integers(0, 9), st.integers(1, ALL), st.integers(0, 9)))
)
limits = st.builds(
    StoreLimits,
    per_source=st.sampled_from((3, 20, 1000)),
    retention_ns=st.just(20),
    victims=st.sampled_from(("oldest", "noisiest")),
    chunk_bytes=st.sampled_from((100, 1200, 5000)),
    head_bytes=st.sampled_from((1, 2000, 100_000)),
)


@settings(max_examples=300)
@given(limits=limits, steps=st.lists(steps, max_size=30))
def test_holds_what_a_plain_list_would(limits: StoreLimits, steps: list[tuple[str, object]]) -> None:
    pair = Pair(limits)

    for action, asked in steps:
        getattr(pair, action)(asked)
        pair.balance()

    expected = {
        source: Meta(
            count=len(life.held),
            expired=life.expired,
            oldest=min(each.time for each in life.held),
            newest=max(each.time for each in life.held),
        )
        for source, life in pair.settled().items()
    }
    assert pair.store.meta() == expected
    pair.store.prune(pair.store.held_bytes)
    assert (pair.store.held, pair.store.held_bytes, pair.store.raw_bytes) == (0, 0, 0)


def test_a_read_by_time_includes_its_start_and_not_its_end() -> None:
    store = filled(batch_of_times(1, 2, 3, 4), 4)

    assert times(store.view(b"app", 2, 4, ALL).take(10).batch) == [2, 3]


def test_equal_times_come_in_order_of_arrival_and_descending_in_reverse() -> None:
    store = filled(batch_of_times(*[7] * 50), 50, chunk_bytes=200)

    ascending = names(store.view(b"app", *EVER, ALL).take(50).batch)
    descending = names(store.view(b"app", *EVER, ALL, descending=True).take(50).batch)

    assert ascending == [str(place) for place in range(50)]
    assert descending == ascending[::-1]


def test_a_source_that_is_not_there_has_nothing_and_a_position_all_the_same() -> None:
    store = filled(batch_of_times(1, 2, 3), 3)

    assert store.view(b"other", *EVER, ALL).take(10).count == 0
    assert store.follow(b"other", None, ALL).end == Position(0, 3)


def test_who_waits_for_a_source_that_is_not_there_gets_all_of_it() -> None:
    store = filled(batch_of_times(1), 1)
    position = store.follow(b"late", None, ALL).end

    store.put(batch_of_times(5, 4, source="late"), 2)
    taken = store.follow(b"late", position, ALL).take(10)

    assert (times(taken.batch), taken.missed) == ([5, 4], 0)


def test_who_waits_for_a_source_that_came_and_vanished_does_not_know_what_was_missed() -> None:
    store = filled(batch_of_times(1), 1)
    position = store.follow(b"late", None, ALL).end

    store.put(batch_of_times(5, source="late"), 1)
    store.settle()
    store.prune(10**9)
    store.put(batch_of_times(6, source="late"), 1)
    taken = store.follow(b"late", position, ALL).take(10)

    assert (times(taken.batch), taken.missed) == ([6], None)


def test_a_source_that_vanished_and_came_again_does_not_repeat_its_numbers() -> None:
    store = filled(batch_of_times(1, 2), 2)
    first = store.follow(b"app", None, ALL).take(1)

    store.prune(10**9)
    gone = store.follow(b"app", first.position, ALL).take(1)
    store.put(batch_of_times(3), 1)
    again = store.follow(b"app", first.position, ALL).take(1)

    assert (gone.count, gone.missed, gone.position) == (0, None, Position(0, 2))
    assert (again.count, again.missed, again.position) == (1, None, Position(3, 4))
    assert store.follow(b"app", gone.position, ALL).take(1).missed == 0


@pytest.mark.parametrize("position", [Position(1, 99), Position(1, 0), Position(9, 9), Position(0, 99)])
def test_a_position_of_nowhere_reads_from_the_oldest(position: Position) -> None:
    store = filled(batch_of_times(1, 2), 2)

    taken = store.follow(b"app", position, ALL).take(10)

    assert (taken.count, taken.missed) == (2, None)


def test_only_what_is_behind_a_position_is_news() -> None:
    store = filled(batch_of_times(1, 2), 2)
    taken = store.follow(b"app", None, ALL).take(1)

    assert store.has_news(b"app", None)
    assert store.has_news(b"app", taken.position)
    assert not store.has_news(b"app", store.follow(b"app", None, ALL).end)
    assert not store.has_news(b"other", Position(0, 0))


def test_settling_names_every_source_since_the_last_time() -> None:
    store = Store(StoreLimits())
    store.put(batch_of_times(1, source="a"), 1)
    store.view(b"a", *EVER, ALL)
    store.put(batch_of_times(1, source="b"), 1)

    assert store.settle() == {b"a", b"b"}
    assert store.settle() == set()


def test_what_waits_is_dealt_out_by_itself_when_it_is_much() -> None:
    store = Store(StoreLimits())

    store.put(batch_of_times(*range(5000)), 5000)

    assert (store.waiting, store.held) == (0, 5000)
