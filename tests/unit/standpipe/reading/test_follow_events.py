"""Following events: what is there, then what comes; nothing twice, and nothing missing."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import trio.testing

from standpipe.errors import NotRunning
from standpipe.reading import follow_events as module
from standpipe.reading.follow_events import follow
from standpipe.reading.https_client import ServerRefused
from standpipe.system import System
from tests.unit.standpipe.reading.store_in_memory import MemoryStore, answer_of, client_of, event, lines_of, sent

HELD: list[dict[str, Any]] = [event(1), event(2)]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock) -> MemoryStore:
    store = MemoryStore({"/api/query": lambda: (200, lines_of(answer_of(*HELD)))})
    monkeypatch.setattr(module, "open_event_store", lambda _: client_of(store))
    return store


@pytest.fixture
def find(tmp_path: Path) -> Callable[[], System]:
    return lambda: System(data_dir=tmp_path, endpoints={"event_store": "127.0.0.1:1"})


async def seqs(arrivals: AsyncIterator[Any]) -> list[int]:
    """Read to the end, which is a refusal."""
    found: list[int] = []
    with pytest.raises(ServerRefused, match="the end"):
        async for events in arrivals:
            found += [each["seq"] for each in events]
    return found


async def test_what_is_there_comes_before_what_comes(store: MemoryStore, find: Callable[[], System]) -> None:
    store.tails = [[sent("event", event(2)), sent("event", event(3)), b": heartbeat\n\n", sent("event", event(4))]]
    notices: list[str] = []
    async with aclosing(follow(find, "error", 5, notices.append, random.Random(1))) as arrivals:
        assert await seqs(arrivals) == [1, 2, 3, 4]
    assert store.asked[:2] == [
        ("/api/tail", {"query": "error"}),
        ("/api/query", {"query": "error", "limit": "5", "progress": "true"}),
    ]
    assert notices == []


async def test_none_of_what_is_there_may_be_wanted(store: MemoryStore, find: Callable[[], System]) -> None:
    store.tails = [[sent("event", event(3))]]
    async with aclosing(follow(find, "", 0, print, random.Random(1))) as arrivals:
        assert await seqs(arrivals) == [3]


async def test_a_lost_connection_is_made_good(store: MemoryStore, find: Callable[[], System]) -> None:
    store.tails = [[sent("event", event(3)), b"cut"], [sent("event", event(4)), sent("event", event(6))]]
    notices: list[str] = []
    async with aclosing(follow(find, "", 5, notices.append, random.Random(1))) as arrivals:
        assert await seqs(arrivals) == [1, 2, 3, 4, 6]
    assert notices == ["the connection was cut; connecting again"]
    assert store.places == [None, "p3", "p6"]
    assert [path for path, _ in store.asked].count("/api/query") == 1


async def test_an_event_ahead_of_the_clock_changes_nothing(store: MemoryStore, find: Callable[[], System]) -> None:
    ahead = event(3, time="2262-01-01T00:00:00.000000000Z")
    store.tails = [[sent("event", ahead), b"cut"], [sent("event", event(4)), b"cut"], [sent("event", event(5))]]
    async with aclosing(follow(find, "", 5, lambda _: None, random.Random(1))) as arrivals:
        assert await seqs(arrivals) == [1, 2, 3, 4, 5]
    assert store.places[1:] == ["p3", "p4", "p5"]


async def test_what_is_older_than_what_is_there_comes_too(store: MemoryStore, find: Callable[[], System]) -> None:
    held = [answer_of(event(1), event(9))]  # the newest by their times: others may have been stored meanwhile
    store.answers["/api/query"] = lambda: (200, lines_of(held.pop()))
    store.tails = [[sent("event", event(8)), sent("event", event(9))]]
    async with aclosing(follow(find, "", 2, print, random.Random(1))) as arrivals:
        assert await seqs(arrivals) == [1, 9, 8]


async def test_events_of_a_store_that_took_its_place_are_others(store: MemoryStore, find: Callable[[], System]) -> None:
    anew = event(1, "of the new one", time="2026-02-01T00:00:00.000000000Z")
    store.tails = [[sent("event", event(3)), b"cut"], [sent("event", anew)]]
    async with aclosing(follow(find, "", 5, lambda _: None, random.Random(1))) as arrivals:
        assert await seqs(arrivals) == [1, 2, 3, 1]


async def test_a_place_is_known_before_anything_came(store: MemoryStore, find: Callable[[], System]) -> None:
    store.tails = [[b": heartbeat\n\nid: p7\n\n", b"cut"], [sent("event", event(8))]]
    async with aclosing(follow(find, "", 0, lambda _: None, random.Random(1))) as arrivals:
        assert await seqs(arrivals) == [8]
    assert store.places == [None, "p7", "p8"]


async def test_a_store_that_cannot_say_what_it_holds_is_asked_again(
    store: MemoryStore, find: Callable[[], System]
) -> None:
    answers = [(429, b'{"error":{"code":"busy","message":"busy"}}'), (200, lines_of(answer_of(*HELD)))]
    store.answers["/api/query"] = lambda: answers.pop(0)
    store.tails = [[sent("event", event(2))], [sent("event", event(2)), sent("event", event(3))]]
    async with aclosing(follow(find, "", 5, lambda _: None, random.Random(1))) as arrivals:
        assert await seqs(arrivals) == [1, 2, 3]


async def test_what_the_store_dropped_is_told(store: MemoryStore, find: Callable[[], System]) -> None:
    store.tails = [[sent("dropped", {"count": 1200}), sent("news", {})]]
    notices: list[str] = []
    async with aclosing(follow(find, "", 0, notices.append, random.Random(1))) as arrivals:
        assert await seqs(arrivals) == []
    assert notices == ["1,200 events were too many to be sent, and are not shown"]


async def test_a_system_that_is_not_there_is_looked_for_again(store: MemoryStore, find: Callable[[], System]) -> None:
    tries: list[int] = []

    def sometimes() -> System:
        tries.append(1)
        if len(tries) < 3:
            raise NotRunning("nothing is running")
        return find()

    store.tails = [[sent("event", event(3))]]
    notices: list[str] = []
    async with aclosing(follow(sometimes, "", 0, notices.append, random.Random(1))) as arrivals:
        assert await seqs(arrivals) == [3]
    assert notices == ["nothing is running; connecting again"]
