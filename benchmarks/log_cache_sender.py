"""The load generator of a log cache: ready-made batches by `Ingress.Send`, a few calls at once on one connection."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from benchmarks.sender import Sender
from benchmarks.worker import Answer, arguments, client_files, obey
from benchmarks.workload import AGENT_TAGS, make_batches
from envelope.framing import varint
from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch
from plumbing.grpc_client import connected, open_channel

_AT_ONCE = 16
_QUARTER_S = 900


class Calls:
    """Unary calls, looked at as if they were a stream."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._send = channel.unary_unary("/logcache.v1.Ingress/Send")
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()
        self._broken = asyncio.get_running_loop().create_future()

    async def write(self, batch: bytes) -> None:
        """Begin a call as soon as there is room for one more."""
        await self._room.acquire()
        task = asyncio.ensure_future(self._once(b"\x0a" + varint(len(batch)) + batch))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def all_arrived(self) -> None:
        """Wait until no call is under way."""
        await asyncio.gather(*self._under_way)

    async def read(self) -> Any:
        """Wait for the first call that fails."""
        await self._broken

    async def _once(self, request: bytes) -> None:
        try:
            await self._send(request)
        except grpc.RpcError as error:
            if not self._broken.done():
                self._broken.set_exception(error)
        finally:
            self._room.release()


class SendingSender(Sender):
    """Sends to a log cache."""

    async def _open(self, address: str, server_name: str, certs: Any, acks: bool) -> None:  # noqa: ARG002
        channel = open_channel(address, client_files(certs), server_name)
        await connected(channel, address)
        self._channel = channel  # a channel nobody holds is closed
        self._call = Calls(channel)
        self._ears = asyncio.ensure_future(self._listen())

    def counters(self, source: str, end_s: int, every_s: int, series: int) -> Answer:
        """Send a quarter of an hour of counters, and return when all of it has arrived."""
        self._loop.run(self._send_counters(source, end_s, every_s, series))
        return {"error": self._error}

    async def _send_counters(self, source: str, end_s: int, every_s: int, series: int) -> None:
        for at_s in range(end_s - _QUARTER_S, end_s + 1, every_s):
            batch = EnvelopeBatch(
                batch=[
                    Envelope(
                        source_id=source,
                        instance_id=str(number),
                        timestamp=at_s * 10**9,
                        tags=AGENT_TAGS,
                        counter=Counter(name="requests", delta=number, total=(at_s - end_s + _QUARTER_S) * number),
                    )
                    for number in range(series)
                ]
            )
            await self._call.write(batch.SerializeToString())
        await self._call.all_arrived()


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--batches", type=int, required=True, help="how many different ones there are")
    parser.add_argument("--stamped", action="store_true", help="with the time of sending for a timestamp")
    given = parser.parse_args()
    batches = make_batches(tagged=True, size=given.batch_size, count=given.batches)
    sender = SendingSender(batches, given.batch_size, stamped=given.stamped)
    sender.open(given.address, "log-cache", given.certs, False)
    obey({"start": sender.start, "progress": sender.progress, "stop": sender.stop, "counters": sender.counters})


if __name__ == "__main__":
    main()
