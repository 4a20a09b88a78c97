"""Reads in order of arrival, from a cursor on, and those that wait (loggregator.md 4.2)."""

import asyncio

import pytest

from envelope.kinds import Kind
from log_cache import reads as reads_module
from log_cache.cursor import Cursor, Position
from log_cache.query import BadRequest, Query
from log_cache.store import StoreLimits
from tests.unit.log_cache.nodes import EVERYTHING, Node, run, times_in


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
