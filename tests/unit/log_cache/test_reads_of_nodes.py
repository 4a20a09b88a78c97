"""What nodes ask each other for: reads, what they hold and samples (loggregator.md 4.1, 4.4)."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from log_cache import reads as reads_module
from log_cache.query import Meta, Query
from plumbing.unary_client import CallFailed
from tests.unit.log_cache.nodes import EVERYTHING, NOW, Node, OtherNode, run, times_in


class Names(dict[bytes, bool]):
    def __missing__(self, name: bytes) -> bool:
        return True


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
