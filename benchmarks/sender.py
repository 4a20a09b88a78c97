"""The load generator: sends ready-made batches over one `BatchSender` stream, on schedule.

It never skips: a batch that is late is sent at once, and how late it was is reported.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import grpc

from benchmarks.pace import Paced
from benchmarks.worker import Answer, Loop, arguments, client_files, obey
from benchmarks.workload import KINDS, LOGS, make_batches
from envelope.framing import varint
from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from plumbing.acks import ACKS_METADATA
from plumbing.grpc_client import connected, open_channel
from plumbing.ingress_client import BATCH_SENDER

_EARLY_S = 0.0005  # the loop's timers count in milliseconds: half of one too early is on time
_BLANK = 0x1A2B3C4D5E6F7081  # a time of nine bytes that nothing else looks like


class Sender(Paced):
    """One stream, and how far it has got."""

    def __init__(self, batches: list[bytes], size: int, *, stamped: bool) -> None:
        super().__init__()
        self._next_batch = _stamping(batches) if stamped else _cycling(batches)
        self._size = size
        self._loop = Loop()

    async def _open(self, address: str, server_name: str, certs: Any, acks: bool) -> None:
        channel = open_channel(address, client_files(certs), server_name)
        await connected(channel, address)
        self._channel = channel  # a channel nobody holds is closed
        self._call = channel.stream_stream(BATCH_SENDER)(metadata=(ACKS_METADATA,) if acks else None)
        self._ears = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        """Take acknowledgements off the stream; its end is an error, for we do not end it."""
        while await self._call.read() is not grpc.aio.EOF:
            pass
        self._failed(f"stream ended: {await self._call.code()} {await self._call.details()}")

    def open(self, address: str, server_name: str, certs: Any, acks: bool) -> None:
        self._loop.run(self._open(address, server_name, certs, acks))

    def start(self, rate: float, seconds: float) -> Answer:
        """Begin to send `rate` envelopes a second for so many seconds."""
        self._begun()
        self._loop.start(self._send(rate, seconds), self._failed)
        return {"total": self._batches(rate, seconds) * self._size}

    def _batches(self, rate: float, seconds: float) -> int:
        return max(1, round(rate * seconds / self._size))

    async def _send(self, rate: float, seconds: float) -> None:
        write, next_batch, size, now = self._call.write, self._next_batch, self._size, time.monotonic
        interval_s = size / rate
        start = now()
        for index in range(self._batches(rate, seconds)):
            ahead_s = start + index * interval_s - now()
            if ahead_s > _EARLY_S:
                await asyncio.sleep(ahead_s)
            self._late_by(-ahead_s)
            await write(next_batch())
            self.sent += size
            if self._stopped:
                break
        self._ended()


def _cycling(batches: list[bytes]) -> Callable[[], bytes]:
    turn = count()
    return lambda: batches[next(turn) % len(batches)]


def _stamping(batches: list[bytes]) -> Callable[[], bytes]:
    """Give every envelope the time at which it is sent: all times of our days take nine bytes."""
    blanks = [_blank(batch) for batch in batches]
    turn = count()

    def stamped() -> bytes:
        batch, places = blanks[next(turn) % len(blanks)]
        stamp = varint(time.time_ns())
        for place in places:
            batch[place : place + len(stamp)] = stamp
        return bytes(batch)

    return stamped


def _blank(batch: bytes) -> tuple[bytearray, list[int]]:
    """Return a batch to be stamped, and where."""
    parsed = EnvelopeBatch.FromString(batch)
    for envelope in parsed.batch:
        envelope.timestamp = _BLANK
    blank = parsed.SerializeToString()
    places = [match.start() for match in re.finditer(re.escape(varint(_BLANK)), blank)]
    assert len(places) == len(parsed.batch), "no envelope holds these bytes elsewhere"
    return bytearray(blank), places


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--server-name", required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--sources", type=int, required=True)
    parser.add_argument("--logs-only", action="store_true", help="no timers, gauges and counters")
    parser.add_argument("--bare", action="store_true", help="without the tags that an agent adds")
    parser.add_argument("--stamped", action="store_true", help="with the time of sending for a timestamp")
    parser.add_argument("--acks", action="store_true", help="ask for acknowledgements, as our own clients do")
    given = parser.parse_args()
    kinds = LOGS if given.logs_only else KINDS
    batches = make_batches(tagged=not given.bare, size=given.batch_size, sources=given.sources, kinds=kinds)
    sender = Sender(batches, given.batch_size, stamped=given.stamped)
    sender.open(given.address, given.server_name, given.certs, given.acks)
    obey({"start": sender.start, "progress": sender.progress, "stop": sender.stop})


if __name__ == "__main__":
    main()
