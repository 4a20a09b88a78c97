"""Subscribe to every Doppler at once and merge their streams (loggregator.md 1.8, 2.1).

In:    batches of all Dopplers that the addresses resolve to; ones that come or go are noticed.
Out:   `Arrival`s, ferried to one trio task, which confirms each when it has dealt with it.
Drops: nothing. What is not confirmed stays with its Doppler, which gives it to the next reader of the subscription.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import structlog
import trio

from plumbing.acker import Acker
from plumbing.acks import ACKS_METADATA
from plumbing.egress_server import WINDOW_BYTES
from plumbing.grpc_client import Backoff, PeerRefused, PeerUnavailable, connected, open_channel, translate
from plumbing.island import Ferry, Island
from plumbing.peers import one_task_each
from plumbing.tls import TlsFiles

log = structlog.get_logger(__name__)

BATCHED_RECEIVER = "/loggregator.v2.Egress/BatchedReceiver"
_GOODBYE_S = 2.0


class Dopplers:
    """One channel to each Doppler, shared by all the feeds of a process. Lives on the island."""

    def __init__(self, addresses: Sequence[str], tls: TlsFiles, server_name: str, rng: random.Random) -> None:
        self.addresses = tuple(addresses)
        self.rng = rng
        self.connects = 0
        self._tls = tls
        self._server_name = server_name
        self._channels: dict[str, grpc.aio.Channel] = {}

    def channel(self, address: str) -> grpc.aio.Channel:
        """Give the channel to one Doppler, opened when first asked for."""
        if address not in self._channels:
            self._channels[address] = open_channel(address, self._tls, self._server_name)
        return self._channels[address]

    async def close(self) -> None:
        """Close every channel."""
        for channel in self._channels.values():
            await channel.close()


@asynccontextmanager
async def open_dopplers(
    island: Island, addresses: Sequence[str], tls: TlsFiles, *, server_name: str = "doppler", rng: random.Random
) -> AsyncIterator[Dopplers]:
    """Keep channels to all Dopplers for the time of the block."""
    dopplers = Dopplers(addresses, tls, server_name, rng)
    try:
        yield dopplers
    finally:
        with trio.CancelScope(shield=True):
            await island.run(dopplers.close)


@dataclass(slots=True, eq=False)
class _Stream:
    """One open stream, and what of it is on our side and not confirmed yet."""

    call: grpc.aio.StreamStreamCall
    acker: Acker
    acknowledged: bool = False
    unconfirmed_bytes: int = 0
    room: asyncio.Event = field(default_factory=asyncio.Event)

    def arrived(self, message: bytes) -> Arrival:
        self.unconfirmed_bytes += len(message)
        return Arrival(message, self)

    def confirmed(self, message: bytes) -> None:
        self.unconfirmed_bytes -= len(message)
        self.room.set()
        if self.acknowledged:
            self.acker.done(len(message))

    async def wait_for_room(self) -> None:
        """Read no more than a window ahead of the component, whatever the Doppler sends."""
        while self.unconfirmed_bytes > WINDOW_BYTES:
            self.room.clear()
            await self.room.wait()


@dataclass(slots=True)
class Arrival:
    """One message of one Doppler; `Feed.confirm` it when it has been dealt with."""

    batch: bytes
    stream: _Stream = field(repr=False)


class Feed:
    """One request, open at every Doppler."""

    def __init__(self, island: Island, dopplers: Dopplers, request: bytes) -> None:
        self._island = island
        self._dopplers = dopplers
        self._request = request
        self._ferry: Ferry[Arrival] = Ferry(island)
        self._streams: set[_Stream] = set()
        self._reading: asyncio.Task[None] | None = None
        self._leaving = False
        self.first_contact = trio.Event()

    async def receive(self) -> list[Arrival]:
        """On trio: wait for messages and take all there are."""
        return await self._ferry.take_all()

    def confirm(self, arrivals: Sequence[Arrival]) -> None:
        """On trio: these have been dealt with; their Dopplers are told and may forget them."""
        self._island.post(_confirm, arrivals)

    async def open(self) -> None:
        """On the island: subscribe at every Doppler and keep doing so."""
        self._reading = asyncio.ensure_future(one_task_each(self._dopplers.addresses, self._keep_reading))

    async def close(self) -> None:
        """On the island: pass on what was confirmed, leave every Doppler in good order."""
        self._leaving = True
        await asyncio.gather(*(self._say_goodbye(stream) for stream in list(self._streams)))
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _keep_reading(self, address: str) -> None:
        backoff = Backoff(self._dopplers.rng)
        while True:
            try:
                await self._read(address, backoff)
                error = "stream ended"
            except grpc.RpcError as rpc_error:
                error = str(translate(rpc_error, address))
            except (PeerUnavailable, PeerRefused) as lost:
                error = str(lost)
            if self._leaving:
                return
            wait_s = backoff.next_s()
            log.info("doppler_lost", peer=address, error=error, retry_in_s=round(wait_s, 2))
            await asyncio.sleep(wait_s)

    async def _read(self, address: str, backoff: Backoff) -> None:
        channel = self._dopplers.channel(address)
        await connected(channel, address)
        call = channel.stream_stream(BATCHED_RECEIVER)(metadata=(ACKS_METADATA,))
        await call.write(self._request)
        stream = _Stream(call, Acker(call.write))
        headers = await call.initial_metadata()
        stream.acknowledged = ACKS_METADATA in tuple(headers or ())
        if not stream.acknowledged:
            await call.done_writing()
        backoff.reset()
        self._dopplers.connects += 1
        self._island.to_trio(self.first_contact.set)
        self._streams.add(stream)
        teller = asyncio.ensure_future(stream.acker.run()) if stream.acknowledged else None
        put = self._ferry.put
        try:
            while (message := await call.read()) is not grpc.aio.EOF:
                put(stream.arrived(message))
                if stream.unconfirmed_bytes > WINDOW_BYTES:
                    await stream.wait_for_room()
        finally:
            self._streams.discard(stream)
            if teller is not None:
                teller.cancel()
            call.cancel()

    async def _say_goodbye(self, stream: _Stream) -> None:
        if not stream.acknowledged:
            return
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await stream.acker.tell()
                await stream.call.done_writing()
                await stream.call.code()
        except (TimeoutError, grpc.RpcError, asyncio.InvalidStateError) as error:
            log.info("goodbye_unheard", error=str(error))


def _confirm(arrivals: Sequence[Arrival]) -> None:
    for arrival in arrivals:
        arrival.stream.confirmed(arrival.batch)


@asynccontextmanager
async def open_feed(island: Island, dopplers: Dopplers, request: bytes) -> AsyncIterator[Feed]:
    """Subscribe at every Doppler for the time of the block."""
    feed = Feed(island, dopplers, request)
    await island.run(feed.open)
    try:
        yield feed
    finally:
        with trio.CancelScope(shield=True):
            await island.run(feed.close)
