"""Live tails: each has its events, at once and in order; what is lost is told."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pyarrow as pa
import pytest
import trio
import trio.testing

from envelope.pb.loggregator_v2_pb2 import Envelope
from event_store.events import to_events
from event_store.http import tails as module
from event_store.http.config import HttpSettings
from event_store.http.matching import Matcher
from event_store.http.tails import News, Tail, Tails
from event_store.query.parse import parse
from plumbing.diode import Diode
from plumbing.http.refusal import Refusal
from plumbing.http.sse import event
from standpipe.reading.server_sent_events import EventParser
from tests.strategies import batch_of

ALL = 1 << 30


def batch(*lines: str) -> pa.RecordBatch:
    return to_events(b"".join(batch_of(Envelope(source_id="s", log={"payload": line.encode()})) for line in lines))


def filter_of(text: str) -> Any:
    return parse(text, 10**18).filter


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Tails]:
    tails = Tails(HttpSettings(**settings))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tails.run)
        await trio.testing.wait_all_tasks_blocked()
        yield tails
        nursery.cancel_scope.cancel()


def said(news: News) -> list[tuple[int, str]]:
    heard = EventParser().feed(b"".join(news.events))
    assert [int(event.id) for event in heard] == [orjson.loads(event.data)["seq"] + 1 for event in heard]
    return [(event["seq"], event["message"]) for event in (orjson.loads(event.data) for event in heard)]


async def hear(tail: Tail, count: int) -> tuple[list[tuple[int, str]], int]:
    heard: list[tuple[int, str]] = []
    dropped = 0
    with trio.fail_after(20):
        while len(heard) + dropped < count:
            news = await tail.next(ALL)
            heard += said(news)
            dropped += news.dropped
    return heard, dropped


async def test_a_tail_has_what_its_filter_finds_with_the_places_in_the_store() -> None:
    async with running() as tails:
        with tails.open(filter_of("a")) as some, tails.open(filter_of("")) as every, tails.open(filter_of("a")) as same:
            tails.publish([batch("a1", "b2"), batch("a3")], 103)
            assert await hear(some, 2) == ([(100, "a1"), (102, "a3")], 0)
            assert await hear(same, 2) == ([(100, "a1"), (102, "a3")], 0)
            assert await hear(every, 3) == ([(100, "a1"), (101, "b2"), (102, "a3")], 0)
        assert (tails.counts.open, tails.counts.events) == (0, 7)


async def test_what_another_thread_appends_arrives_in_order() -> None:
    async with running() as tails:
        with tails.open(filter_of("")) as tail:

            def append() -> None:
                for n in range(50):
                    tails.publish([batch(str(n))], n + 1)

            await trio.to_thread.run_sync(append)
            heard, dropped = await hear(tail, 50)
    assert heard == [(n, str(n)) for n in range(50)]
    assert dropped == 0


async def test_a_slow_tail_loses_its_oldest_and_no_other_does() -> None:
    async with running(tail_events=3) as tails:
        with tails.open(filter_of("")) as slow, tails.open(filter_of("5")) as other:
            tails.publish([batch(*map(str, range(6)))], 6)
            assert await hear(other, 1) == ([(5, "5")], 0)
            assert await hear(slow, 6) == ([(3, "3"), (4, "4"), (5, "5")], 3)
        assert tails.counts.dropped == 3


async def test_bytes_are_bounded_too() -> None:
    async with running(tail_bytes=1000) as tails:
        with tails.open(filter_of("")) as slow:
            for n in range(4):
                tails.publish([batch("x" * 700)], n + 1)
            await trio.testing.wait_all_tasks_blocked(0.05)
            heard, dropped = await hear(slow, 4)
    assert len(heard) + dropped == 4
    assert dropped >= 1


async def test_what_waits_to_be_looked_at_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING_BYTES", 1)
    async with running() as tails:
        with tails.open(filter_of("")) as tail:
            for n in range(4):  # the task that looks gets no turn meanwhile
                tails.publish([batch(str(n))], n + 1)
            assert await hear(tail, 4) == ([(3, "3")], 3)


async def test_a_batch_that_cannot_be_looked_at_is_told_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Sequence[Any]:
        raise ValueError("no")

    async with running() as tails:
        with tails.open(filter_of("")) as tail:
            with monkeypatch.context() as patched:
                patched.setattr(Matcher, "masks", fail)
                tails.publish([batch("1", "2")], 2)
                assert await hear(tail, 2) == ([], 2)
            tails.publish([batch("3")], 3)
            assert await hear(tail, 1) == ([(2, "3")], 0)


async def test_a_filter_that_fails_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = Matcher.masks

    def some(matcher: Matcher, batch: pa.RecordBatch, filters: Sequence[Any]) -> Any:
        if filter_of("bad") in filters:
            raise ValueError("no")
        return masks(matcher, batch, filters)

    monkeypatch.setattr(Matcher, "masks", some)
    async with running() as tails:
        with tails.open(filter_of("bad")) as bad, tails.open(filter_of("a")) as good, tails.open(filter_of("b")) as too:
            tails.publish([batch("a1", "b2")], 2)
            assert await hear(good, 1) == ([(0, "a1")], 0)
            assert await hear(too, 1) == ([(1, "b2")], 0)
            assert await hear(bad, 2) == ([], 2)
            assert tails.counts.dropped == 2


async def test_a_tail_begins_where_its_reader_was() -> None:
    async with running() as tails:
        with tails.open(filter_of("")) as tail:
            tails.publish([batch("a", "b", "c")], 13)
            await trio.testing.wait_all_tasks_blocked(0.05)
            tail.begin(12)
            assert tail.here == 12, "something waits that was not told"
            assert await hear(tail, 1) == ([(12, "c")], 0)
            assert tail.here == 13


async def test_where_its_reader_is_never_goes_back() -> None:
    tail = Tail(filter_of(""), Diode(10, 1000))
    tail.begin(5)
    tail.put([event(b"{}", name="event", place=str(place)) for place in (6, 7)], 0, 9)
    assert len((await tail.next(ALL)).events) == 2

    tail.put([event(b"{}", name="event", place="10")], 0, 12)  # just when a heartbeat is due
    assert tail.here == 7


async def test_nothing_is_kept_when_nobody_follows() -> None:
    async with running() as tails:
        tails.publish([batch("1")], 1)
        with tails.open(filter_of("")) as tail:
            tails.publish([batch("2")], 2)
            assert await hear(tail, 1) == ([(1, "2")], 0)
    tails.publish([batch("3")], 3)


async def test_there_are_so_many_and_none_when_the_store_stops() -> None:
    async with running(max_tails=1) as tails:
        with tails.open(filter_of("")) as tail:
            with pytest.raises(Refusal) as refused, tails.open(filter_of("")):
                pass
            assert refused.value.status == 429
            tails.stop()
            assert await tail.next(ALL) == News(0, [])
            assert tail.is_over
        with pytest.raises(Refusal), tails.open(filter_of("")):
            pass


async def test_what_lacks_memory_is_missed_and_whoever_appended_it_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: Any) -> pa.RecordBatch:
        raise pa.ArrowMemoryError("no memory")

    async with running() as tails:
        with tails.open(filter_of("")) as tail:
            with monkeypatch.context() as patched:
                patched.setattr(module, "numbered", lacking)
                tails.publish([batch("1", "2")], 2)
            tails.publish([batch("3")], 3)
            assert await hear(tail, 3) == ([(2, "3")], 2)
