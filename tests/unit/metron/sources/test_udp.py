"""A UDP door reads bursts, hands each over as one batch, and counts what it could not take."""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from metron.sources import udp
from metron.sources.counts import DoorCounts
from metron.sources.udp import KernelDrops, Parsed, UdpDoor, address_of, bind_udp, read_burst


class Taken:
    """An outlet in memory."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.envelopes = self.malformed = self.overflowed = 0
        self._more = trio.Event()

    async def take(self, batch: bytes, count: int, *, malformed: int, overflowed: int) -> None:
        await trio.lowlevel.checkpoint()
        self.batches += [batch] if count else []
        self.envelopes += count
        self.malformed += malformed
        self.overflowed += overflowed
        self._more.set()

    async def wait_for(self, total: int) -> None:
        """Wait until so many envelopes were taken or counted as lost."""
        with trio.fail_after(10):
            while self.envelopes + self.malformed + self.overflowed < total:
                self._more = trio.Event()
                await self._more.wait()


def parse(datagram: bytes, now_ns: int) -> Parsed:
    assert now_ns > 0
    return Parsed.refused("no good") if datagram.startswith(b"bad") else Parsed(datagram, 1)


@contextmanager
def sending_to(door: socket.socket) -> Iterator[socket.socket]:
    with socket.socket(door.family, socket.SOCK_DGRAM) as sender:
        sender.connect(door.getsockname())
        yield sender


@asynccontextmanager
async def running(outlet: Taken, counts: DoorCounts | None = None) -> AsyncIterator[socket.socket]:
    """Run a door; yields a socket that sends to it."""
    at = await bind_udp("127.0.0.1:0", 1 << 20)
    door, stop = UdpDoor("statsd", at, parse, outlet, counts or DoorCounts()), trio.Event()
    with sending_to(at) as sender, trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(door.run, stop=stop))
            yield sender
            stop.set()


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
async def test_a_socket_says_where_it_listens(listen: str) -> None:
    with await bind_udp(listen, 4096) as door:
        host, _, port = address_of(door).rpartition(":")

        assert host in ("127.0.0.1", "[::1]")
        assert int(port) == door.getsockname()[1] > 0
        assert not door.getblocking()


async def test_the_buffer_is_as_large_as_was_asked() -> None:
    with await bind_udp("127.0.0.1:0", 100_000) as door:
        assert door.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 100_000


async def test_an_address_that_is_taken_is_named() -> None:
    with await bind_udp("127.0.0.1:0", 4096) as door:
        address = address_of(door)

        with pytest.raises(OSError, match="in use") as error:
            await bind_udp(address, 4096)
        assert error.value.filename == f"UDP {address}"


async def test_a_burst_is_what_has_come() -> None:
    with await bind_udp("127.0.0.1:0", 1 << 20) as door, sending_to(door) as sender:
        for datagram in (b"1", b"", b"3"):
            sender.send(datagram)

        burst = read_burst(door)

        assert [datagram for datagram, _ in burst.datagrams] == [b"1", b"", b"3"]
        assert burst.datagrams[0][1] == sender.getsockname()
        assert burst.is_all
        assert read_burst(door) == ([], True)


async def test_a_burst_has_an_end() -> None:
    with await bind_udp("127.0.0.1:0", 1 << 20) as door, sending_to(door) as sender:
        for _ in range(257):
            sender.send(b"x")

        assert [len(read_burst(door).datagrams) for _ in range(2)] == [256, 1]


async def test_a_burst_of_long_datagrams_ends_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "_BURST_BYTES", 1000)
    with await bind_udp("127.0.0.1:0", 1 << 20) as door, sending_to(door) as sender:
        for _ in range(5):
            sender.send(b"x" * 300)

        assert [len(read_burst(door).datagrams) for _ in range(2)] == [4, 1]


async def test_the_largest_datagram_comes_whole() -> None:
    with await bind_udp("127.0.0.1:0", 1 << 20) as door, sending_to(door) as sender:
        sender.send(b"x" * 65_507)

        assert read_burst(door).datagrams[0][0] == b"x" * 65_507


@pytest.mark.parametrize(("listen", "table"), [("127.0.0.1:0", "udp"), ("[::1]:0", "udp6")])
async def test_what_the_kernel_drops_is_told_once(listen: str, table: str) -> None:
    with await bind_udp(listen, 4096) as door, sending_to(door) as sender:
        drops = KernelDrops(door)
        assert drops.take() == 0
        for _ in range(100):
            sender.send(b"x" * 100)

        dropped = drops.take()

        assert 0 < dropped == 100 - len(read_burst(door).datagrams)
        assert drops.take() == 0
        assert dropped == _dropped_by(door, Path("/proc/net", table))


def _dropped_by(door: socket.socket, table: Path) -> int:
    """What the system's own table says: its last column, for the socket's inode."""
    rows = map(str.split, table.read_text().splitlines()[1:])
    (row,) = [row for row in rows if row[9] == str(os.fstat(door.fileno()).st_ino)]
    return int(row[12])


async def test_a_counter_of_drops_that_wraps_around_goes_on() -> None:
    with await bind_udp("127.0.0.1:0", 4096) as door:
        drops = KernelDrops(door)
        drops._seen = 2**32 - 5  # the kernel's count is 0 by now

        assert drops.take() == 5


async def test_a_system_that_does_not_tell_drops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "_SO_MEMINFO", 9999)
    with await bind_udp("127.0.0.1:0", 4096) as door:
        assert KernelDrops(door).take() == 0


async def test_a_burst_becomes_one_batch_in_order() -> None:
    outlet, counts = Taken(), DoorCounts()
    async with running(outlet, counts) as sender:
        for number in range(10):  # all of them before the door has its turn
            sender.send(b"%d" % number)
        sender.send(b"bad")
        await outlet.wait_for(11)

    assert outlet.batches == [b"0123456789"]
    assert (outlet.envelopes, outlet.malformed) == (10, 1)
    assert (counts.datagrams, counts.malformed, counts.overflowed) == (11, 1, 0)


async def test_the_door_goes_on_after_a_burst() -> None:
    outlet = Taken()
    async with running(outlet) as sender:
        for number in range(5):
            sender.send(b"x")
            await outlet.wait_for(number + 1)

    assert outlet.envelopes == 5


async def test_at_stop_what_has_come_is_taken() -> None:
    outlet = Taken()
    async with running(outlet) as sender:
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(300):
            sender.send(b"x")

    assert outlet.envelopes == 300


async def test_what_has_come_by_the_stop_is_left_when_time_is_up() -> None:
    outlet, stop = Taken(), trio.Event()
    at = await bind_udp("127.0.0.1:0", 1 << 20)
    with sending_to(at) as sender:
        for _ in range(600):
            sender.send(b"x")
        with trio.CancelScope() as time_is_up:

            def slow(datagram: bytes, now_ns: int) -> Parsed:
                time_is_up.cancel()
                return parse(datagram, now_ns)

            stop.set()
            await UdpDoor("statsd", at, slow, outlet, DoorCounts()).run(stop=stop)

    assert outlet.envelopes == 256
    assert at.fileno() == -1


async def test_what_the_kernel_dropped_is_counted_though_nothing_comes_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(udp, "_LOOK_EVERY_S", 0.01)
    outlet, counts, stop = Taken(), DoorCounts(), trio.Event()
    at = await bind_udp("127.0.0.1:0", 4096)
    with sending_to(at) as sender:
        for _ in range(100):
            sender.send(b"x" * 100)
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(UdpDoor("statsd", at, parse, outlet, counts).run, stop=stop))
                await outlet.wait_for(100)
                stop.set()

    assert outlet.envelopes + outlet.overflowed == 100
    assert counts.overflowed == outlet.overflowed > 0


async def test_a_thousand_bad_datagrams_are_one_line_in_the_log() -> None:
    outlet = Taken()
    with capture_logs() as logs:
        async with running(outlet) as sender:
            for number in range(1, 1001):
                sender.send(b"bad")
                if number % 100 == 0:
                    await outlet.wait_for(number)
            peer = ":".join(map(str, sender.getsockname()))

    lines = [entry for entry in logs if entry["event"] == "datagrams_malformed"]
    assert sum(line["count"] for line in lines) == 1000
    assert len(lines) <= 2
    assert (lines[0]["door"], lines[0]["peer"], lines[0]["fault"]) == ("statsd", peer, "no good")


async def test_the_socket_is_closed_in_the_end() -> None:
    at = await bind_udp("127.0.0.1:0", 4096)
    stop = trio.Event()
    stop.set()

    await UdpDoor("statsd", at, parse, Taken(), DoorCounts()).run(stop=stop)

    assert at.fileno() == -1
