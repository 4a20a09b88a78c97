"""Connections of the receiver, in memory: what is handed on, when a peer has to go, and what is counted."""

from collections.abc import Callable
from typing import Any

import pytest
import structlog.testing
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, MockClock, memory_stream_one_way_pair

from metron.sources.counts import SyslogCounts
from metron.sources.syslog.config import SyslogReceiver
from metron.sources.syslog.connection import Connections
from metron.sources.syslog.mapping import SyslogParser
from tests.unit.metron.sources.fakes import FakeOutlet


class FullOutlet(FakeOutlet):
    """Has no room, ever."""

    async def send(self, batch: bytes, count: int, settled: Callable[[], None] | None = None) -> None:
        await trio.sleep_forever()


class Books:
    """The outlet that never waits."""

    def __init__(self) -> None:
        self.taken = 0
        self.malformed = 0

    async def take(self, batch: bytes, count: int, *, malformed: int, overflowed: int) -> None:
        await trio.lowlevel.checkpoint()
        assert overflowed == 0
        self.taken += count
        self.malformed += malformed


class Bench:
    def __init__(self, outlet: FakeOutlet | None = None, **settings: Any) -> None:
        config = SyslogReceiver(**settings)
        self.counts, self.outlet, self.books = SyslogCounts(), outlet or FakeOutlet(), Books()
        parser = SyslogParser(config, self.counts)
        self.connections = Connections(config, parser, self.outlet, self.books, self.counts)
        pair: tuple[MemorySendStream, MemoryReceiveStream] = memory_stream_one_way_pair()
        self.peer, self.stream = pair

    async def read(self) -> None:
        await self.connections.read(self.stream, "10.0.0.9:5")


async def test_messages_are_handed_on_as_they_come_and_the_last_line_at_the_end() -> None:
    bench = Bench()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.read)
        await bench.peer.send_all(b"<13>a: 1\n<13>a: 2\n<13>")
        assert await bench.outlet.wait_for(2) == [b"1", b"2"]
        await bench.peer.send_all(b"a: 3")
        await bench.peer.aclose()

    assert bench.outlet.lines == [b"1", b"2", b"3"]
    assert (bench.counts.messages, bench.counts.malformed, bench.counts.closed) == (3, 0, {})


async def test_a_message_that_is_cut_short_by_the_end_is_malformed() -> None:
    bench = Bench()
    await bench.peer.send_all(b"8 <13>a: 110 <13>a:")
    await bench.peer.aclose()

    await bench.read()

    assert bench.outlet.lines == [b"1"]
    assert (bench.counts.messages, bench.counts.malformed, bench.books.malformed) == (2, 1, 1)


async def test_wrong_counts_close_the_connection_and_the_log_says_where() -> None:
    bench = Bench()
    await bench.peer.send_all(b"8 <13>a: 1garbage 8 <13>a: 2")

    with structlog.testing.capture_logs() as logs:
        await bench.read()

    assert bench.outlet.lines == [b"1"]
    assert bench.counts.closed == {"framing": 1}
    (line,) = logs
    assert (line["peer"], line["offset"], line["reason"]) == ("10.0.0.9:5", 10, "framing")


async def test_a_peer_that_sends_no_whole_message_has_to_go(autojump_clock: MockClock) -> None:
    bench = Bench(idle_timeout_s=60.0)

    async def trickle() -> None:
        await bench.peer.send_all(b"<13>a: ")
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await trio.sleep(7)
                await bench.peer.send_all(b"x")

    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            await bench.read()
            assert trio.current_time() == pytest.approx(60, abs=1e-3)
            await bench.stream.aclose()

    assert bench.counts.closed == {"idle": 1}
    assert bench.books.malformed == 1
    assert logs[0]["reason"] == "idle"


async def test_a_peer_that_sends_now_and_then_may_stay(autojump_clock: MockClock) -> None:
    bench = Bench(idle_timeout_s=60.0)

    async def send() -> None:
        for _ in range(10):
            await trio.sleep(50)
            await bench.peer.send_all(b"<13>a: x\n")
        await bench.peer.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await bench.read()

    assert len(bench.outlet.lines) == 10
    assert bench.counts.closed == {}


async def test_long_messages_are_cut_off_and_counted() -> None:
    bench = Bench(max_message_bytes=480)
    await bench.peer.send_all(b"<13>a: " + b"x" * 500_000 + b"\n<13>a: y\n")
    await bench.peer.aclose()

    await bench.read()

    assert bench.outlet.lines == [b"x" * 473, b"y"]
    assert bench.counts.truncated == 1


async def test_what_was_read_when_there_was_no_room_is_in_the_books_at_the_end(autojump_clock: MockClock) -> None:
    bench = Bench(FullOutlet())
    await bench.peer.send_all(b"<13>a: 1\n<13>a: 2\n\0<13>a: 3\n8 <1")

    with trio.move_on_after(5):
        await bench.read()

    assert (bench.books.taken, bench.books.malformed) == (3, 1)
    assert bench.counts.messages == 4


async def test_in_a_hurry_what_is_there_is_read_and_no_more_is_waited_for(autojump_clock: MockClock) -> None:
    bench = Bench()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.read)
        await trio.testing.wait_all_tasks_blocked()
        bench.connections.hurry()
        await bench.peer.send_all(b"<13>a: 1\n<13>a:")

    assert trio.current_time() < 1
    assert bench.outlet.lines == [b"1"]
    assert (bench.counts.closed, bench.books.malformed) == ({}, 1)
