"""A stream follows a source: what it writes and when, and how it ends."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing

from log_cache.query import Answer, Query
from log_cache.rest import reader as reader_module
from log_cache.rest.reader import Reader
from log_cache.rest.stream import RestCounts, Stream
from plumbing.http.refusal import Refusal
from tests.fakes.http_connection import FakeConnection
from tests.unit.log_cache.rest.fakes import FakeReads, Here

SOURCE = "app"


@dataclass
class Client:
    """Takes what is sent to it."""

    connection: FakeConnection = field(default_factory=FakeConnection)
    sent: list[Any] = field(default_factory=list)
    heard: Callable[[bytes], None] = lambda _: None

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.heard(message.get("body", b""))

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def ended(self) -> bool:
        return self.sent[-1].get("more_body") is False

    @property
    def payloads(self) -> list[str]:
        lines = [line.removeprefix("data: ") for line in self.text.splitlines() if line.startswith('data: {"batch"')]
        return [each["log"]["payload"] for line in lines for each in json.loads(line)["batch"]]


@dataclass
class Situation:
    """A cache, a client, and a stream between them."""

    reads: FakeReads = field(default_factory=FakeReads)
    client: Client = field(default_factory=Client)
    counts: RestCounts = field(default_factory=RestCounts)
    is_stopping: bool = False
    timeout_s: float = 100.0
    holding: Callable[[int], AbstractContextManager[None]] = lambda _: nullcontext()

    def __post_init__(self) -> None:
        self.reader = Reader(self.reads)
        self.reader.begin(Here())  # type: ignore[arg-type]  # a fake

    async def run(self, cursor: str | None = "0", **query: Any) -> None:
        stream = Stream(
            self.client,  # type: ignore[arg-type]  # a fake
            self.reader,
            self.counts,
            heartbeat_s=10.0,
            timeout_s=self.timeout_s,
            is_stopping=lambda: self.is_stopping,
            holding=self.holding,
        )
        await stream.run(Query(source_id=SOURCE, start=0, end=0, cursor=cursor, **query))


@pytest.fixture
async def situation() -> Situation:
    return Situation()


async def test_it_begins_behind_its_cursor(situation: Situation, autojump_clock: trio.testing.MockClock) -> None:
    situation.reads.put(SOURCE, b"1", b"2", b"3")

    await situation.run("1")

    assert situation.client.text.startswith("id: 1\n\nid: 3\ndata: ")
    assert situation.client.payloads == ["Mg==", "Mw=="]


async def test_before_the_oldest_no_place_has_a_name(
    situation: Situation, autojump_clock: trio.testing.MockClock
) -> None:
    situation.reads.put(SOURCE, b"1")

    await situation.run("")

    assert situation.client.text.startswith("id: 1\ndata: ")


async def test_what_does_not_fit_into_one_event_comes_in_the_next(
    situation: Situation, autojump_clock: trio.testing.MockClock
) -> None:
    situation.reads.put(SOURCE, *[b"x"] * 7)

    await situation.run(limit=3)

    assert (len(situation.client.payloads), situation.counts.events) == (7, 3)


async def test_what_is_too_much_for_one_answer_is_asked_for_by_halves(
    situation: Situation, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MAX_BATCH_BYTES", 250)
    situation.reads.put(SOURCE, b"x")

    def put_large_ones(_: bytes) -> None:
        situation.client.heard = lambda _: None
        situation.reads.put(SOURCE, *[b"y" * 100] * 8)

    situation.client.heard = put_large_ones

    await situation.run("1", limit=8)

    assert (len(situation.client.payloads), situation.counts.events) == (8, 4)


async def test_what_is_too_much_for_one_answer_from_the_first_is_asked_for_by_halves(
    situation: Situation, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MAX_BATCH_BYTES", 250)
    situation.reads.put(SOURCE, *[b"y" * 100] * 8)

    await situation.run("0", limit=8)

    assert (len(situation.client.payloads), situation.counts.events) == (8, 4)


async def test_what_waits_to_be_sent_is_counted(situation: Situation, autojump_clock: trio.testing.MockClock) -> None:
    held: list[int] = []

    def holding(size: int) -> AbstractContextManager[None]:
        held.append(size)
        return nullcontext()

    situation.holding = holding
    situation.reads.put(SOURCE, b"y" * 1000)

    await situation.run()

    assert 2000 < max(held) < 2100


async def test_without_a_cursor_it_begins_now(situation: Situation, autojump_clock: trio.testing.MockClock) -> None:
    situation.reads.put(SOURCE, b"1")

    await situation.run(None)

    assert situation.client.text.startswith("id: 1\n\n")
    assert situation.client.payloads == []


async def test_where_nobody_knows_what_now_is_it_does_not_begin_with_the_oldest(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: Query) -> Answer:
        return Answer(batch=b"", count=0, cursor="")

    monkeypatch.setattr(situation.reads, "read", away)

    with pytest.raises(Refusal) as refused:
        await situation.run(None)

    assert (refused.value.status, situation.client.sent) == (503, [])


async def test_it_has_its_place_among_the_streams_before_it_is_answered(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(_: Query) -> Answer:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(situation.reads, "read", slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(situation.run)
        await trio.testing.wait_all_tasks_blocked()
        assert situation.counts.streams == 1
        nursery.cancel_scope.cancel()


async def test_while_nothing_comes_its_heart_beats(
    situation: Situation, autojump_clock: trio.testing.MockClock
) -> None:
    situation.timeout_s = 35

    await situation.run()

    assert situation.client.text.count(": heartbeat\n\n") == 3


async def test_what_was_missed_is_told_once(situation: Situation, autojump_clock: trio.testing.MockClock) -> None:
    situation.reads.put(SOURCE, b"x")
    situation.reads.missed = None

    await situation.run()

    assert situation.client.text.count('event: missed\ndata: {"missed":null}\n\n') == 1
    assert situation.client.text.index("missed") < situation.client.text.index("batch")


async def test_what_was_missed_is_not_told_again_to_who_comes_back(
    situation: Situation, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def expired(query: Query) -> Answer:
        return Answer(batch=b"", count=0, cursor="9", missed=4 if query.cursor == "5" else 0)

    monkeypatch.setattr(situation.reads, "read", expired)
    situation.timeout_s = 5

    await situation.run("5")

    assert situation.client.text == 'id: 5\n\nevent: missed\ndata: {"missed":4}\n\nid: 9\n\n'


async def test_a_node_that_is_away_is_asked_now_and_then(
    situation: Situation, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def away(query: Query) -> Answer:
        nonlocal asked
        asked += 1
        return Answer(batch=b"", count=0, cursor=query.cursor or "", missed=None)

    monkeypatch.setattr(situation.reads, "read", away)

    await situation.run("5")

    assert 50 < asked < 200
    assert "missed" not in situation.client.text


async def test_it_ends_when_its_time_is_up(situation: Situation, autojump_clock: trio.testing.MockClock) -> None:
    await situation.run()

    assert trio.current_time() == pytest.approx(100, abs=0.1)
    assert situation.client.ended


async def test_it_ends_with_the_process(situation: Situation) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(situation.run)
        await trio.testing.wait_all_tasks_blocked()
        assert situation.counts.streams == 1
        situation.is_stopping = True
        situation.reader.stop()

    assert situation.client.ended
    assert situation.counts.streams == 0


async def test_it_ends_when_its_client_is_gone(situation: Situation) -> None:
    situation.reads.put(SOURCE, b"x")
    situation.client.connection.is_open = False

    await situation.run()

    assert not situation.client.ended
    assert situation.counts.streams == 0


async def test_a_stream_that_is_cancelled_is_open_no_longer(situation: Situation) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(situation.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert situation.counts.streams == 0
