"""What arrives comes once, whatever becomes of connections in between."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from standpipe.errors import NotRunning
from standpipe.reading import follow as module
from standpipe.reading.follow import LOOK_EVERY_S, follow
from standpipe.reading.https_client import ServerRefused
from standpipe.reading.log_cache import LogCache
from standpipe.reading.log_cache_answers import NoEventStream
from standpipe.reading.newest import Place, Wanted, newest
from standpipe.system import System
from tests.fakes.cursor_log_cache import CursorLogCache, counter, log
from tests.unit.standpipe.reading.cache_in_memory import client_of, texts


class Reader:
    """Follows the source `shop`, and keeps what comes."""

    def __init__(self, fake: CursorLogCache, tmp_path: Path) -> None:
        self.fake = fake
        self.seen: list[str] = []
        self.notices: list[str] = []
        self.wanted = Wanted(source="shop")
        self.opened = 0
        self.find: Callable[[], System] = lambda: System(data_dir=tmp_path, endpoints={"log_cache.rest": "host:1"})

    @asynccontextmanager
    async def open(self, system: System) -> AsyncIterator[LogCache]:
        self.opened += 1
        async with client_of(self.fake) as cache:
            yield cache

    async def newest(self, most: int) -> Place:
        """Read the newest as a tail does before it follows."""
        async with client_of(self.fake) as cache:
            found = await newest(cache, self.wanted, most)
        self.seen += texts(found.envelopes)
        return found.place

    async def follow(self, place: Place) -> None:
        """Read on for ever."""
        async for envelopes in follow(self.find, self.wanted, place, self.notices.append, random.Random(1)):
            self.seen += texts(envelopes)

    async def has(self, *expected: str) -> None:
        with trio.fail_after(60):
            while len(self.seen) < len(expected):
                await trio.sleep(0.01)
        assert self.seen == list(expected)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    reader = Reader(CursorLogCache(), tmp_path)
    monkeypatch.setattr(module, "open_log_cache", reader.open)
    return reader


async def test_what_arrives_after_the_newest_were_read_comes(
    reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    reader.fake.put(log("a", 1), log("b", 2))
    place = await reader.newest(10)
    reader.fake.put(log("c", 3))
    nursery.start_soon(reader.follow, place)
    await reader.has("a", "b", "c")
    reader.fake.put(log("late", 0), log("d", 4))
    await reader.has("a", "b", "c", "late", "d")


async def test_only_what_was_asked_for_comes(reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    reader.wanted = Wanted(source="shop", kinds=["LOG"])
    nursery.start_soon(reader.follow, await reader.newest(0))
    reader.fake.put(counter("orders", 1, 1), log("a", 1))
    await reader.has("a")


async def test_a_lost_connection_loses_and_repeats_nothing(
    reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(reader.follow, await reader.newest(0))
    expected = [str(number) for number in range(9)]
    for number in range(0, 9, 3):
        reader.fake.put(log(str(number), number))
        await reader.has(*expected[: number + 1])
        reader.fake.cut()
        reader.fake.put(log(str(number + 1), 0))
        await reader.has(*expected[: number + 2])
        reader.fake.put(log(str(number + 2), 0))
        await reader.has(*expected[: number + 3])
    assert reader.opened == 4
    assert len(reader.notices) == 3
    assert all("the connection was cut; connecting again" in notice for notice in reader.notices)


async def test_what_arrives_between_the_pages_of_the_newest_comes_once(
    reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [log(str(number), 10 * number) for number in range(2500)]
    reader.fake.put(*old)
    read = LogCache.read

    async def read_and_send_more(cache: LogCache, *arguments: object) -> object:
        page = await read(cache, *arguments)  # type: ignore[arg-type]
        asked = len(reader.fake.asked)
        if asked < 4:
            reader.fake.put(log(f"late {asked}", 5), log(f"new {asked}", 10**6))
        return page

    monkeypatch.setattr(LogCache, "read", read_and_send_more)
    place = await reader.newest(10_000)
    nursery.start_soon(reader.follow, place)
    between = ["late 1", "late 2", "late 3"]
    reader.fake.put(log("last", 10**6))
    with trio.fail_after(60):
        while reader.seen[-1] != "last":
            await trio.sleep(0.01)
    every = [*(str(number) for number in range(2500)), *between, "new 1", "new 2", "new 3", "last"]
    assert sorted(reader.seen) == sorted(every)


async def test_a_stream_that_ended_in_good_order_is_followed_by_another_at_once(
    reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(reader.follow, await reader.newest(0))
    await trio.sleep(840)
    reader.fake.end()
    ended_at = trio.current_time()
    while reader.opened < 2:
        await trio.sleep(0.001)
    assert trio.current_time() - ended_at < 0.01
    reader.fake.put(log("a", 1))
    await reader.has("a")
    assert reader.notices == []


async def test_what_was_passed_over_is_not_missed_later(
    reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    reader.wanted = Wanted(source="shop", kinds=["LOG"])
    nursery.start_soon(reader.follow, await reader.newest(0))
    reader.fake.put(*(counter("orders", number, number) for number in range(5)))
    await trio.sleep(1)
    reader.fake.cut()
    reader.fake.expire(5)
    reader.fake.put(log("a", 1))
    await reader.has("a")
    assert len(reader.notices) == 1
    assert "cut" in reader.notices[0]


async def test_what_expired_unread_is_told(reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    place = await reader.newest(0)
    reader.fake.put(*(log(str(number), number) for number in range(5)))
    reader.fake.expire(3)
    nursery.start_soon(reader.follow, place)
    await reader.has("3", "4")
    assert reader.notices == ["3 envelopes of shop expired before they could be read"]


async def test_a_log_cache_that_began_anew_is_told(
    reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(reader.follow, await reader.newest(0))
    reader.fake.put(log("a", 1))
    await reader.has("a")
    reader.fake.restart()
    reader.fake.put(log("b", 2))
    await reader.has("a", "b")
    assert reader.notices[-1] == "the log cache has begun anew: some of shop may have been missed"


async def test_a_system_that_is_gone_may_come_back(
    reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    find, tries = reader.find, []

    def find_later() -> System:
        tries.append(trio.current_time())
        if len(tries) < 4:
            raise NotRunning("nothing is running")
        return find()

    reader.find = find_later
    nursery.start_soon(reader.follow, await reader.newest(0))
    reader.fake.put(log("a", 1))
    await reader.has("a")
    assert reader.notices == ["nothing is running; connecting again"]
    assert tries[3] - tries[0] > tries[1] - tries[0]


async def test_a_token_that_is_no_longer_good_is_an_end(reader: Reader, autojump_clock: MockClock) -> None:
    place = await reader.newest(0)
    reader.fake.answers["/api/v1/read/shop"] = (404, b"")
    with pytest.raises(ServerRefused):
        await reader.follow(place)


# --- a log cache without cursors ------------------------------------------------------------------------------------


async def test_by_time_equal_times_are_told_apart(
    reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    reader.fake.cursors = False
    reader.fake.put(log("a", 1), log("b", 2))
    nursery.start_soon(reader.follow, await reader.newest(10))
    await trio.sleep(1)
    reader.fake.put(log("c", 2), log("d", 2))
    await reader.has("a", "b", "c", "d")
    reader.fake.put(log("e", 2), log("f", 3))
    await reader.has("a", "b", "c", "d", "e", "f")
    await trio.sleep(10)
    await reader.has("a", "b", "c", "d", "e", "f")


async def test_by_time_it_is_asked_now_and_then(
    reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    reader.fake.cursors = False
    nursery.start_soon(reader.follow, await reader.newest(0))
    await trio.sleep(10)
    assert len(reader.fake.asked) == pytest.approx(1 + 10 / LOOK_EVERY_S, abs=2)


async def test_by_time_many_are_read_page_by_page(
    reader: Reader, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    reader.fake.cursors = False
    reader.fake.put(log("0", 1))
    nursery.start_soon(reader.follow, await reader.newest(1))
    reader.fake.put(*(log(str(number), 1 + number // 300 * 100) for number in range(1, 3500)))
    await reader.has(*(str(number) for number in range(3500)))


async def test_without_a_stream_of_events_a_cursor_is_an_error(reader: Reader, autojump_clock: MockClock) -> None:
    place = await reader.newest(0)
    reader.fake.cursors = False
    with pytest.raises(NoEventStream, match="no stream"):
        await reader.follow(place)
