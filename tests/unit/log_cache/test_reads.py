"""Reads by time and in order of arrival, of our own cache and of a cluster (loggregator.md 4.1, 4.2)."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

import numpy as np
import pytest

from envelope.framing import frame
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache import reads as reads_module
from log_cache.cache import Cache
from log_cache.cluster import Cluster
from log_cache.cursor import Cursor, Position
from log_cache.name_filter import NameFilter
from log_cache.query import Answer, BadRequest, Meta, Query
from log_cache.reads import Reads
from log_cache.store import Store, StoreLimits
from plumbing.unary_client import CallFailed

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
EVERYTHING = {"start": 0, "end": 1 << 62}


class Names(dict[bytes, bool]):
    def __missing__(self, name: bytes) -> bool:
        return True


class OtherNode:
    """A cluster of two nodes: what begins with "their" is the other's."""

    def __init__(self) -> None:
        self.asked: list[Query] = []
        self.reads: Reads | None = None
        self.held: list[dict[str, Meta]] = []
        self.asked_meta = 0
        self.takes_s = 0.0

    def is_local(self, source_id: str) -> bool:
        return not source_id.startswith("their")

    async def read(self, query: Query) -> Answer:
        self.asked.append(query)
        if self.reads is None:
            raise CallFailed("UNKNOWN", "limit (0) must be something")
        return await self.reads.read(query)

    async def meta(self) -> list[dict[str, Meta]]:
        self.asked_meta += 1
        await asyncio.sleep(self.takes_s)
        return self.held if self.reads is None else [await self.reads.meta(local_only=True)]


class Node:
    """A cache with its reads."""

    def __init__(self, *, cluster: OtherNode | None = None, limits: StoreLimits | None = None) -> None:
        self.cache = Cache(Store(limits or StoreLimits()), lambda: NOW)
        self.reads = self.made(cluster)

    def made(self, cluster: OtherNode | None = None, incarnation: int = 7) -> Reads:
        return Reads(
            self.cache,
            cast(Cluster | None, cluster),
            incarnation=incarnation,
            now_ns=lambda: NOW,
            settle_ns=SECOND // 2,
            threads=2,
        )

    def put(self, *times: int, source_id: str = "app", **message: Any) -> None:
        for time in times:
            envelope = Envelope(source_id=source_id, timestamp=time, **(message or {"log": {}}))
            self.cache.put(frame(envelope.SerializeToString()), 1)

    async def times(self, **asked: Any) -> list[int]:
        return times_in(await self.answer(**asked))

    async def answer(self, **asked: Any) -> Answer:
        return await self.reads.read(Query(**{"source_id": "app", **EVERYTHING, **asked}))


def times_in(answer: Answer) -> list[int]:
    envelopes = EnvelopeBatch.FromString(answer.batch).batch
    assert len(envelopes) == answer.count
    return [envelope.timestamp for envelope in envelopes]


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await scenario()

    asyncio.run(bounded())


def test_a_read_takes_what_lies_between_its_times_the_oldest_first() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(3, 1, 2, 4)

        assert await node.times(start=1, end=4) == [1, 2, 3]
        assert await node.times(start=1, end=4, limit=2) == [1, 2]

    run(scenario)


def test_a_descending_read_takes_the_newest_first() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(3, 1, 2, 4)

        assert await node.times(start=1, end=4, limit=2, descending=True) == [3, 2]

    run(scenario)


def test_a_negative_start_and_a_start_behind_the_end_are_answered() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(-5, 1)

        assert await node.times(start=-6795364578871345152, end=2) == [-5, 1]
        assert await node.times(start=9, end=2) == []

    run(scenario)


def test_types_and_names_narrow_a_read() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(1)
        node.put(2, counter={"name": "cpu"})
        node.put(3, counter={"name": "disk"})

        assert await node.times(kinds=Kind.COUNTER) == [2, 3]
        assert await node.times(name_filter="^c") == [2]
        assert await node.times(kinds=Kind(0)) == []

    run(scenario)


def test_a_source_that_is_not_there_is_empty() -> None:
    async def scenario() -> None:
        answer = await Node().answer()

        assert (answer.batch, answer.count) == (b"", 0)
        assert answer.cursor

    run(scenario)


def test_a_follower_by_time_sees_late_envelopes_in_order() -> None:
    """Whoever pages on from the last timestamp it saw must not see one before what is late has come."""

    async def scenario() -> None:
        node = Node()
        half = SECOND // 2
        node.put(NOW - 2 * SECOND, NOW - half - 1, NOW - half, NOW - 1)

        found = await node.times(start=NOW - 59 * SECOND, end=NOW, open_ended=True)

        assert found == [NOW - 2 * SECOND, NOW - half - 1]

    run(scenario)


def test_a_follower_by_time_never_finds_a_page_that_ends_between_equal_timestamps() -> None:
    """It pages on from the last timestamp it saw, and one nanosecond: the rest of them would be passed over."""

    async def scenario() -> None:
        node = Node()
        node.put(1, 2, 2, 2, 3, 3)
        node.put(3, counter={"name": "cpu"})
        node.put(3, counter={"name": "cpu"})

        assert await node.times(limit=2) == [1, 2, 2, 2]
        assert await node.times(start=3, limit=1, name_filter="cpu") == [3, 3]
        assert await node.times(limit=1, descending=True) == [3]
        assert await node.times(cursor="", limit=2) == [1, 2]

    run(scenario)


def test_of_equal_timestamps_there_is_a_bound() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(*[7] * 1500)

        assert (await node.answer(limit=1)).count == 1001

    run(scenario)


def test_nothing_is_held_back_from_other_reads() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(NOW - 1)

        assert await node.times(start=0, end=NOW, open_ended=True) == [NOW - 1]
        assert await node.times(start=NOW - 59 * SECOND, end=NOW) == [NOW - 1]
        assert await node.times(start=NOW - 59 * SECOND, end=NOW, open_ended=True, descending=True) == [NOW - 1]
        assert await node.times(cursor="") == [NOW - 1]

    run(scenario)


def test_a_start_within_the_settle_window_is_no_error() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(NOW - 1)

        assert await node.times(start=NOW - 2, end=NOW, open_ended=True) == []

    run(scenario)


def test_an_empty_cursor_reads_from_the_oldest_and_on_in_order_of_arrival() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(3, 1, 2)

        first = await node.answer(cursor="", limit=2)
        second = await node.answer(cursor=first.cursor, limit=2)

        assert (times_in(first), first.rest, first.missed) == ([3, 1], True, 0)
        assert (times_in(second), second.rest, second.missed) == ([2], False, 0)

    run(scenario)


def test_the_cursor_of_a_read_by_time_stands_behind_all_that_had_arrived() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(1, 2, 3)
        recent = await node.answer(limit=1, descending=True)
        node.put(2)

        assert await node.times(cursor=recent.cursor) == [2]

    run(scenario)


def test_what_expired_behind_a_cursor_is_counted() -> None:
    async def scenario() -> None:
        node = Node(limits=StoreLimits(per_source=2))
        node.put(1)
        first = await node.answer(cursor="")
        node.put(2, 3, 4, 5)
        second = await node.answer(cursor=first.cursor)

        assert (times_in(second), second.missed) == ([4, 5], 2)

    run(scenario)


def test_a_cursor_of_another_incarnation_reads_from_the_oldest_and_knows_of_no_loss() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(1, 2)
        before = await node.made(incarnation=6).read(Query(source_id="app", **EVERYTHING, cursor=""))

        answer = await node.answer(cursor=before.cursor)

        assert (times_in(answer), answer.missed) == ([1, 2], None)

    run(scenario)


def test_a_broken_cursor_is_refused() -> None:
    async def scenario() -> None:
        with pytest.raises(BadRequest, match="cursor"):
            await Node().answer(cursor="broken")

    run(scenario)


def test_a_wait_ends_as_soon_as_something_arrives() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(1)
        cursor = (await node.answer(cursor="")).cursor
        waiting = asyncio.ensure_future(node.answer(cursor=cursor, wait_s=30.0))
        while not node.cache.waiting:
            await asyncio.sleep(0)
        node.put(2)

        assert times_in(await waiting) == [2]

    run(scenario)


def test_a_wait_goes_on_over_what_was_not_asked_for() -> None:
    async def scenario() -> None:
        node = Node()
        waiting = asyncio.ensure_future(node.answer(cursor="", wait_s=30.0, kinds=Kind.COUNTER))
        while not node.cache.waiting:
            await asyncio.sleep(0)
        node.put(1)
        await asyncio.sleep(0.01)
        node.put(2, counter={"name": "cpu"})

        assert times_in(await waiting) == [2]

    run(scenario)


def test_a_wait_for_nothing_ends_in_time_with_a_cursor() -> None:
    async def scenario() -> None:
        node = Node()
        answer = await node.answer(cursor="", wait_s=0.01)

        assert (answer.count, answer.missed, answer.rest) == (0, 0, False)
        assert Cursor.parse(answer.cursor, "app") == Cursor(7, Position(0, 0))

    run(scenario)


def test_waits_end_when_the_process_is_about_to() -> None:
    async def scenario() -> None:
        node = Node()
        waiting = [asyncio.ensure_future(node.answer(cursor="", wait_s=30.0, source_id=name)) for name in ("a", "b")]
        while node.cache.waiting < 2:
            await asyncio.sleep(0)
        node.reads.end_waits()

        answers = [*await asyncio.gather(*waiting), await node.answer(cursor="", wait_s=30.0)]
        assert [(answer.count, bool(answer.cursor)) for answer in answers] == [(0, True)] * 3

    run(scenario)


def test_reads_and_what_they_gave_are_counted() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(1, 2)
        await node.answer()
        await node.answer(limit=1)

        assert (node.reads.counts.reads, node.reads.counts.envelopes) == (2, 3)

    run(scenario)


def test_a_read_waits_for_no_name_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        node, goes_on = Node(), threading.Event()
        node.put(1, 2)
        monkeypatch.setattr(NameFilter, "apply", lambda *_: goes_on.wait(5) and (b"", 0))
        filtering = [asyncio.ensure_future(node.answer(name_filter="x")) for _ in range(5)]
        await asyncio.sleep(0.01)

        assert await node.times() == [1, 2]
        goes_on.set()
        await asyncio.gather(*filtering)

    run(scenario)


def test_a_name_filter_that_takes_too_long_is_an_error_of_a_read_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(reads_module, "_FILTER_S", 0.0)
        node = Node()
        node.put(1, counter={"name": "cpu"})

        with pytest.raises(CallFailed, match="takes too long") as caught:
            await node.answer(name_filter="x")
        assert caught.value.code == "DEADLINE_EXCEEDED"

    run(scenario)


def test_a_name_filter_that_takes_too_long_goes_on_with_the_next_read_in_order_of_arrival(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        node = Node()
        node.put(*range(1000), counter={"name": "cpu"})
        moments = iter([0.0, 0.0, 9.0])
        monkeypatch.setattr(reads_module, "monotonic", lambda: next(moments, 9.0))
        first = await node.answer(name_filter="x", cursor="")
        monkeypatch.setattr(reads_module, "monotonic", lambda: 0.0)
        node.put(7, counter={"name": "x"})
        then = await node.answer(name_filter="x", cursor=first.cursor)

        assert (first.count, first.rest) == (0, True)
        assert times_in(then) == [7]

    run(scenario)


def test_an_answer_that_would_be_too_large_is_refused_as_by_the_original() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(*range(6), log={"payload": bytes(10 << 20)})

        for asked in ({}, {"cursor": ""}):
            with pytest.raises(CallFailed, match="received message larger than max") as caught:
                await node.answer(**asked)
            assert caught.value.code == "RESOURCE_EXHAUSTED"
        assert (await node.answer(limit=4)).count == 4

    run(scenario)


def test_100_000_sources_are_told_of_without_holding_anybody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(reads_module, "_META_AT_ONCE", 10)
        node = Node()
        for number in range(100):
            node.put(1, source_id=str(number))
        telling = asyncio.ensure_future(node.reads.meta())
        turns = 0
        while not telling.done():
            await asyncio.sleep(0)
            turns += 1

        assert (turns >= 10, len(telling.result())) == (True, 100)

    run(scenario)


def test_the_source_of_another_node_is_asked_for_there() -> None:
    async def scenario() -> None:
        there = Node()
        other = OtherNode()
        other.reads = there.reads
        here = Node(cluster=other)
        there.put(5, source_id="their app")

        assert await here.times(source_id="their app") == [5]
        assert here.reads.counts.reads == 0

    run(scenario)


def test_a_read_that_another_node_passed_on_is_answered_here() -> None:
    async def scenario() -> None:
        here = Node(cluster=OtherNode())
        here.put(5, source_id="their app")
        query = Query(source_id="their app", **EVERYTHING)

        assert times_in(await here.reads.read(query, local_only=True)) == [5]

    run(scenario)


def test_meta_is_that_of_all_nodes_or_of_this_one() -> None:
    async def scenario() -> None:
        other = OtherNode()
        theirs = Meta(count=1, expired=2, oldest=3, newest=4)
        other.held = [{"their app": theirs}]
        node = Node(cluster=other)
        node.put(8, 9)
        ours = Meta(count=2, expired=0, oldest=8, newest=9)

        assert await node.reads.meta() == {"app": ours, "their app": theirs}
        assert await node.reads.meta(local_only=True) == {"app": ours}

    run(scenario)


def test_meta_is_as_of_a_second_ago_at_most_and_peers_are_asked_once() -> None:
    async def scenario() -> None:
        other = OtherNode()
        node = Node(cluster=other)
        await asyncio.gather(*[node.reads.meta() for _ in range(5)])
        node.put(1)

        assert await node.reads.meta() == {}
        assert await node.reads.meta(local_only=True) != {}
        assert other.asked_meta == 1
        node.reads._metas.clear()
        assert list(await node.reads.meta()) == ["app"]

    run(scenario)


def test_nodes_that_ask_each_other_for_meta_at_the_same_time_do_not_wait_for_each_other() -> None:
    async def scenario() -> None:
        one, other = OtherNode(), OtherNode()
        here, there = Node(cluster=one), Node(cluster=other)
        one.reads, other.reads = there.reads, here.reads
        here.put(1)
        there.put(2, source_id="their app")

        both = await asyncio.gather(here.reads.meta(), there.reads.meta())

        assert [sorted(meta) for meta in both] == [["app", "their app"]] * 2

    run(scenario)


def test_who_waits_while_nodes_are_slow_to_answer_for_meta_does_not_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        other = OtherNode()
        other.takes_s = 0.05
        node = Node(cluster=other)
        monkeypatch.setattr(reads_module, "_META_S", 0.04)

        await asyncio.gather(node.reads.meta(), node.reads.meta())

        assert other.asked_meta == 1

    run(scenario)


def totals(found: Sequence[Any]) -> list[tuple[int, float]]:
    return [
        (int(time), float(value))
        for part in found
        for times, values in part.values()
        for time, value in zip(np.frombuffer(times, "<i8"), np.frombuffer(values, "<f8"), strict=True)
    ]


def test_samples_are_the_numbers_between_two_times() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(1)
        for time in (2, 3, 4):
            node.put(time, counter={"name": "requests", "total": time * 10})

        assert totals(await node.reads.samples("app", 2, 4, Names())) == [(2, 20.0), (3, 30.0)]
        assert totals(await node.reads.samples("app", 2, 4, Names({b"requests": False}))) == []

    run(scenario)


def test_samples_of_another_node_are_all_of_them() -> None:
    async def scenario() -> None:
        there = Node()
        other = OtherNode()
        other.reads = there.reads
        here = Node(cluster=other)
        sent = [(NOW - 3000 + number // 3, float(number)) for number in range(2500)]
        for time, value in sent:
            there.put(time, source_id="their app", counter={"name": "requests", "total": int(value)})

        assert totals(await here.reads.samples("their app", 0, NOW, Names())) == sent
        assert len(other.asked) == 3

    run(scenario)


def test_a_read_does_not_wait_for_numbers() -> None:
    async def scenario() -> None:
        node = Node()
        asked, go = threading.Event(), threading.Event()
        for number in range(10):
            node.put(1, source_id=f"app {number}", counter={"name": "requests", "total": 1})

        class Slow(dict[bytes, bool]):
            def __missing__(self, name: bytes) -> bool:
                asked.set()
                return go.wait(5)

        tasks = [asyncio.ensure_future(node.reads.samples(f"app {number}", 0, 9, Slow())) for number in range(10)]
        while not asked.is_set():
            await asyncio.sleep(0.001)
        assert await node.times(source_id="app 1") == [1]
        assert not go.is_set()
        go.set()
        await asyncio.gather(*tasks)

    run(scenario)


def test_what_another_node_says_is_passed_on() -> None:
    async def scenario() -> None:
        node = Node(cluster=OtherNode())

        with pytest.raises(CallFailed, match="must be something"):
            await node.answer(source_id="their app")

    run(scenario)


def test_nothing_is_read_once_closed() -> None:
    async def scenario() -> None:
        node = Node()
        node.reads.close()

        with pytest.raises(RuntimeError):
            await node.answer()

    run(scenario)
