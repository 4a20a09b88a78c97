"""Reads by time, of our own cache (loggregator.md 4.1, 4.2)."""

import asyncio
import threading

import pytest

from envelope.kinds import Kind
from log_cache import reads as reads_module
from log_cache.name_filter import NameFilter
from plumbing.unary_client import CallFailed
from tests.unit.log_cache.nodes import NOW, SECOND, Node, run


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


def test_nothing_is_read_once_closed() -> None:
    async def scenario() -> None:
        node = Node()
        node.reads.close()

        with pytest.raises(RuntimeError):
            await node.answer()

    run(scenario)
