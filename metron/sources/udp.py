"""Receive datagrams: the edge that the UDP doors of an agent share.

In:    datagrams, in bursts of whatever has come.
Out:   one batch per burst.
Drops: what the parser refuses (`malformed`); what the kernel had no room for (`udp_overflow`). Nobody can be asked to
       wait, so when more comes than is taken, the socket's buffer runs over: that is where this door drops, and counts.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple, Protocol

import structlog
import trio

from metron.sources.counts import DoorCounts
from plumbing.config import join_listen, parse_listen

log = structlog.get_logger(__name__)

_DATAGRAM_BYTES = 65_535  # no datagram is longer
_BURST_DATAGRAMS = 256
_BURST_BYTES = 256 * 1024  # of the shortest lines of statsd that is 0.2 s of work, and of what programs send far less
_LAST_BURSTS = 128
_GATHER_S = 0.005  # a burst costs 0.1 ms whatever it holds, so others may join the next one; the first waits for nobody
_LOOK_EVERY_S = 1.0
_SO_MEMINFO = 55  # Linux 4.12, asm-generic/socket.h; Python has no name for it
_MEMINFO = Struct("=9I")  # linux/sock_diag.h, SK_MEMINFO_VARS; the last one is the drops


class Parsed(NamedTuple):
    """What became of one datagram: a batch, how many envelopes it holds, how many others were malformed, and how."""

    batch: bytes = b""
    envelopes: int = 0
    malformed: int = 0
    fault: str = ""

    @classmethod
    def refused(cls, fault: str) -> Parsed:
        """Count a whole datagram as one malformed envelope."""
        return cls(malformed=1, fault=fault)


Parse = Callable[[bytes, int], Parsed]
"""Makes a batch of a datagram that came at a time (ns); never raises, whatever the bytes."""


class DatagramOutlet(Protocol):
    """The rest of the metron, as a door sees it."""

    async def take(self, batch: bytes, count: int, *, malformed: int, overflowed: int) -> None:
        """Take `count` envelopes, and count those that were lost. Never waits for a Doppler."""


class Burst(NamedTuple):
    """Datagrams, each with who sent it."""

    datagrams: list[tuple[bytes, tuple[object, ...]]]
    is_all: bool
    """Whether there was nothing left in the socket."""


async def bind_udp(listen: str, receive_buffer_bytes: int) -> socket.socket:
    """Open a socket at `host:port`, with as large a buffer as the system grants; OSError names the address."""
    host, port = parse_listen(listen)
    try:
        family, kind, protocol, _, address = (
            await trio.socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        )[0]
        door = socket.socket(family, kind, protocol)
        try:
            door.setblocking(False)
            door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            door.bind(address)
        except OSError:
            door.close()
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"UDP {listen}") from error
    return door


def address_of(door: socket.socket) -> str:
    """Say where a socket listens, as `host:port`."""
    return join_listen(*door.getsockname()[:2])


def read_burst(door: socket.socket) -> Burst:
    """Read what has come, up to 256 datagrams or 256 KiB and the datagram that goes beyond; waits for nothing."""
    datagrams: list[tuple[bytes, tuple[object, ...]]] = []
    room, receive = _BURST_BYTES, door.recvfrom
    while room > 0 and len(datagrams) < _BURST_DATAGRAMS:
        try:
            datagram = receive(_DATAGRAM_BYTES)
        except BlockingIOError:
            return Burst(datagrams, is_all=True)
        datagrams.append(datagram)
        room -= len(datagram[0])
    return Burst(datagrams, is_all=False)


class KernelDrops:
    """What the kernel dropped of a socket's datagrams: the `drops` of /proc/net/udp, asked of the socket itself."""

    def __init__(self, door: socket.socket) -> None:
        self._door = door
        self._seen = 0

    def take(self) -> int:
        """Say how many there were since the last time; none where the system does not tell."""
        with suppress(OSError):
            answer = self._door.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            before, self._seen = self._seen, _MEMINFO.unpack(answer)[-1]
            return (self._seen - before) % 2**32  # a counter of 32 bits
        return 0


@dataclass(slots=True)
class _Complaint:
    """What was wrong since it was last logged."""

    malformed: int = 0
    overflowed: int = 0
    peer: tuple[object, ...] = ()
    fault: str = ""


class UdpDoor:
    """Receives at one socket, which it closes in the end."""

    def __init__(
        self, name: str, door: socket.socket, parse: Parse, outlet: DatagramOutlet, counts: DoorCounts
    ) -> None:
        self._name = name
        self._socket = door
        self._parse = parse
        self._outlet = outlet
        self._counts = counts
        self._drops = KernelDrops(door)
        self._complaint = _Complaint()

    async def run(self, *, stop: trio.Event) -> None:
        """Receive until `stop` is set, and then once more what had come by then (at most 128 bursts).

        Cancelled, it hands over what it has read and leaves the rest.
        """
        with self._socket:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive)
                nursery.start_soon(self._look_now_and_then)
                await stop.wait()
                nursery.cancel_scope.cancel()
            for _ in range(_LAST_BURSTS):
                await trio.lowlevel.checkpoint()
                burst = read_burst(self._socket)
                await self._pass_on(burst)
                if burst.is_all:
                    break
            self._complain()

    async def _receive(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            burst = read_burst(self._socket)
            await self._pass_on(burst)
            if burst.is_all:
                await trio.sleep(_GATHER_S)

    async def _look_now_and_then(self) -> None:
        """Count what the kernel dropped though nothing comes any more, and log what was wrong: once a second."""
        while True:
            await trio.sleep(_LOOK_EVERY_S)
            await self._pass_on(Burst([], is_all=True))
            self._complain()

    async def _pass_on(self, burst: Burst) -> None:
        """Make one batch of a burst. What was read is handed over even at stop, or it would be lost uncounted."""
        parts: list[bytes] = []
        count = malformed = 0
        now_ns = time.time_ns()
        for datagram, peer in burst.datagrams:
            parsed = self._parse(datagram, now_ns + count)
            parts.append(parsed.batch)
            count += parsed.envelopes
            if parsed.malformed:
                malformed += parsed.malformed
                self._complaint.peer, self._complaint.fault = peer, parsed.fault
        overflowed = self._drops.take()
        self._counts.datagrams += len(burst.datagrams)
        self._counts.malformed += malformed
        self._counts.overflowed += overflowed
        self._complaint.malformed += malformed
        self._complaint.overflowed += overflowed
        if count or malformed or overflowed:
            with trio.CancelScope(shield=True):
                await self._outlet.take(b"".join(parts), count, malformed=malformed, overflowed=overflowed)

    def _complain(self) -> None:
        """Log, in one line each, what was wrong since the last time."""
        wrong, self._complaint = self._complaint, _Complaint()
        if wrong.malformed:
            peer = ":".join(map(str, wrong.peer[:2]))
            log.warning("datagrams_malformed", door=self._name, count=wrong.malformed, peer=peer, fault=wrong.fault)
        if wrong.overflowed:
            log.warning("datagrams_dropped_by_kernel", door=self._name, count=wrong.overflowed)
