"""The store holds what a plain list would, in whatever order it comes, and counts what goes."""

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from log_cache.cursor import Position
from log_cache.query import Meta
from log_cache.source import Source
from log_cache.store import Store, StoreLimits
from tests.unit.log_cache.envelopes import KINDS, batch, batch_of_times, envelope, names, times
from tests.unit.log_cache.model import Life, Model

ALL = 63
EVER = (-(2**63), 2**63 - 1)
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


class Pair:
    """A store and its model, led through the same steps."""

    def __init__(self, limits: StoreLimits) -> None:
        self.store = Store(limits)
        self.model = Model(limits.per_source, limits.retention_ns)
        self.waiting: list[tuple[bytes, int, int, str]] = []
        self.positions = [Position(0, 0)]
        self.named = 0

    def put(self, members: list[tuple[str, int, str, int]]) -> None:
        envelopes = []
        for source, time, kind, size in members:
            self.named += 1
            envelopes.append(envelope(time, str(self.named), source=source, kind=kind, size=size))
            self.waiting.append((source.encode(), time, KINDS[kind], str(self.named)))
        self.store.put(batch(*envelopes), len(envelopes))

    def settle(self, _: None = None) -> None:
        assert self.store.settle() >= {source for source, *_ in self.waiting}
        self.look()

    def look(self) -> None:
        self.model.settle(self.waiting)
        self.waiting.clear()

    def prune(self, surplus: int) -> None:
        self.settle()
        self.model.enforce()
        assert self.store.held == sum(len(life.held) for life in self.model.sources.values())
        before = self.store.held_bytes
        expired = self.store.prune(surplus)
        views = {source: self.store.follow(source, None, ALL) for source in self.store.sources()}
        left = {source: [name for each in view.batches() for name in names(each)] for source, view in views.items()}
        assert self.model.follow_pruning(left) == expired
        assert before - self.store.held_bytes >= min(surplus, before)

    def expire(self, now: int) -> None:
        self.store.expire(now)
        self.look()
        self.model.enforce()
        self.model.expire(now)
        assert set(self.store.sources()) == set(self.model.sources)

    def view(self, asked: tuple[str, int, int, int, bool, int]) -> None:
        source, start, end, kinds, descending, limit = asked
        view = self.store.view(source.encode(), start, end, kinds, descending=descending)
        self.look()
        self.model.enforce()
        life = self.model.sources.get(source.encode())
        expected = [each for each in (life.held if life else []) if start <= each.time < end and each.kind & kinds]
        assert [name for each in view.batches() for name in names(each)] == [each.name for each in expected]
        expected = sorted(expected, key=lambda each: each.time)[:: -1 if descending else 1]
        taken = view.take(limit)
        assert names(taken.batch) == [each.name for each in expected[:limit]]
        assert (taken.count, taken.rest) == (min(limit, len(expected)), len(expected) > limit)

    def follow(self, asked: tuple[str, int, int, int]) -> None:
        source, which, kinds, limit = asked
        position = self.positions[-1 - which % len(self.positions)]
        view = self.store.follow(source.encode(), position, kinds)
        self.look()
        self.model.enforce()
        taken = view.take(limit)
        self.positions += [view.end, taken.position]
        life = self.model.sources.get(source.encode())
        if life is None:
            assert (taken.count, view.end) == (0, Position(0, self.model.arrivals))
            return
        is_of_life = position.birth == life.birth and life.birth <= position.seq <= life.birth + life.arrived
        start = position.seq if is_of_life else life.birth
        ahead = [each for each in life.held if each.number >= start]
        expected = [each for each in ahead if each.kind & kinds]
        assert names(taken.batch) == [each.name for each in expected[:limit]]
        assert view.end == Position(life.birth, life.birth + life.arrived)
        assert taken.rest == (len(expected) > limit)
        if is_of_life:
            seen = sum(each.number < taken.position.seq for each in ahead)
            assert taken.missed == taken.position.seq - position.seq - seen
        elif position.birth:
            assert taken.missed is None

    def settled(self) -> dict[bytes, Life]:
        self.settle()
        self.model.enforce()
        return self.model.sources

    def balance(self) -> None:
        store = self.store
        assert store.received == store.held + store.expired + store.waiting
        assert store.received == self.named


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


def filled(members: bytes, count: int, **limits: object) -> Store:
    store = Store(StoreLimits(**limits))
    store.put(members, count)
    return store


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
