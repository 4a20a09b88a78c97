"""Subscribe to every Doppler at once and merge their streams (loggregator.md 1.8, 2.1).

In:    batches of all Dopplers that the addresses resolve to; ones that come or go are noticed.
Out:   `Arrival`s, handed over on the island; each is confirmed when it has been dealt with.
Drops: nothing. What is not confirmed stays with its Doppler, which gives it to the next reader of the subscription.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import structlog

from plumbing.acker import Acker
from plumbing.acks import ACKS_METADATA, BULK, BULK_METADATA, CHANGES_METADATA, PROMPT, Pace
from plumbing.grpc_client import (
    CALL_FAILURES,
    Backoff,
    PeerUnavailable,
    connected,
    granted,
    open_channel,
    translate,
)
from plumbing.peers import one_task_each
from plumbing.tls import TlsFiles

log = structlog.get_logger(__name__)

BATCHED_RECEIVER = "/loggregator.v2.Egress/BatchedReceiver"
DOPPLER = "doppler"  # the name a Doppler's certificate must carry (loggregator.md 0.1)
_GOODBYE_S = 2.0


class Dopplers:
    """One channel to each Doppler, shared by all the feeds of a process. Lives on the island."""

    def __init__(self, addresses: Sequence[str], tls: TlsFiles, rng: random.Random, *, pace: Pace = PROMPT) -> None:
        self.pace = pace
        self.addresses = tuple(addresses)
        self.rng = rng
        self.connects = 0
        self.disconnects = 0
        self._tls = tls
        self._channels: dict[str, grpc.aio.Channel] = {}

    def channel(self, address: str) -> grpc.aio.Channel:
        """Give the channel to one Doppler, opened when first asked for."""
        if address not in self._channels:
            self._channels[address] = open_channel(address, self._tls, DOPPLER)
        return self._channels[address]

    @asynccontextmanager
    async def stream(self, address: str) -> AsyncIterator[Stream]:
        """Connect to one Doppler and begin a stream, to be opened with a request; it is forgotten at the end."""
        channel = self.channel(address)
        await connected(channel, address)
        stream = Stream(channel, address, self.pace)
        self.connects += 1
        try:
            yield stream
        finally:
            self.disconnects += 1
            stream.forget()

    async def close(self) -> None:
        """Close every channel."""
        for channel in self._channels.values():
            await channel.close()


@dataclass(slots=True)
class Arrival:
    """One message of one Doppler; call `confirm` when it has been dealt with."""

    batch: bytes
    stream: Stream = field(repr=False)

    @property
    def is_kept(self) -> bool:
        """Whether its Doppler keeps it until it is confirmed; an original one does not."""
        return self.stream.is_acknowledged

    def confirm(self) -> None:
        """Tell the Doppler that it may forget this message."""
        self.stream.confirmed(self.batch)


Relay = Callable[[Arrival], Awaitable[None]]


class Feed:
    """One request, open at every Doppler. Lives on the island."""

    def __init__(self, dopplers: Dopplers, request: bytes, relay: Relay) -> None:
        self._dopplers = dopplers
        self._request = request
        self._relay = relay
        self._streams: set[Stream] = set()

    async def run(self) -> None:
        """Subscribe at every Doppler and hand each message to `relay`, until cancelled."""
        await one_task_each(self._dopplers.addresses, self._keep_reading)

    @property
    def blocked(self) -> bool:
        """Whether a Doppler's stream waits for confirmations: a window full is on our side."""
        return any(stream.blocked for stream in self._streams)

    async def _keep_reading(self, address: str) -> None:
        await keep_reading(self._dopplers, address, self._read)

    async def _read(self, address: str, opened: Callable[[], None]) -> None:
        async with self._dopplers.stream(address) as stream:
            self._streams.add(stream)
            try:
                await stream.open(self._request)
                if not stream.is_over:
                    opened()
                await stream.read_all(self._relay)
            finally:
                self._streams.discard(stream)


Read = Callable[[str, Callable[[], None]], Awaitable[None]]


async def keep_reading(dopplers: Dopplers, address: str, read: Read) -> None:
    """Run `read(address, opened)` again and again, until cancelled; `opened` says that the peer has answered."""
    backoff = Backoff(dopplers.rng)
    while True:
        try:
            await read(address, backoff.reset)
            error = "stream ended"
        except CALL_FAILURES as failure:
            error = str(translate(failure, address))
        except PeerUnavailable as lost:
            error = str(lost)
        wait_s = backoff.next_s()
        log.info("doppler_lost", peer=address, error=error, retry_in_s=round(wait_s, 2))
        await asyncio.sleep(wait_s)


class Stream:
    """One open stream, and what of it is on our side and not confirmed yet."""

    def __init__(self, channel: grpc.aio.Channel, peer: str, pace: Pace) -> None:
        self.peer = peer
        metadata = (ACKS_METADATA, BULK_METADATA) if pace is BULK else (ACKS_METADATA,)
        self._call = channel.stream_stream(BATCHED_RECEIVER)(metadata=metadata)
        self._window_bytes = pace.window_bytes
        self._acker: Acker | None = None
        self.takes_changes = False
        self._unconfirmed_bytes = 0
        self._room = asyncio.Event()
        self._leaving = False

    async def open(self, request: bytes) -> None:
        """Send the request, and find out whether the peer wants acknowledgements."""
        await self._call.write(request)
        grants = await granted(self._call)
        if ACKS_METADATA in grants:
            self._acker = Acker(self._call.write)
            self.takes_changes = CHANGES_METADATA in grants
        else:
            await self._call.done_writing()  # an original server may wait for it

    def change(self, request: bytes) -> None:
        """Ask for something else from now on; only a peer that `takes_changes` may be asked."""
        assert self._acker is not None
        self._acker.send(request)

    async def read_all(self, relay: Relay) -> None:
        """Hand each message over until the stream ends; cancelled, or failed by `relay`, leave in good order."""
        # In a task of its own: gRPC cancels the call when a read is cancelled, and then nobody hears a goodbye.
        reading = asyncio.ensure_future(self._read_all(relay))
        try:
            await asyncio.wait([reading])
            reading.result()
        except BaseException:
            await self._say_goodbye()
            raise
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read_all(self, relay: Relay) -> None:
        """Read no more than a window ahead of what is confirmed."""
        read = self._call.read
        while (message := await read()) is not grpc.aio.EOF:
            if self._leaving:
                continue  # unconfirmed, it stays with the Doppler
            self._unconfirmed_bytes += len(message)
            await relay(Arrival(message, self))
            while self.blocked and not self._leaving:
                self._room.clear()
                await self._room.wait()

    @property
    def is_acknowledged(self) -> bool:
        """Whether the peer waits for confirmations."""
        return self._acker is not None

    @property
    def is_over(self) -> bool:
        """Whether the peer has ended it, or has refused it at once."""
        return bool(self._call.done())

    @property
    def blocked(self) -> bool:
        """Whether there is no room for more in the window."""
        return self._unconfirmed_bytes > self._window_bytes

    def confirmed(self, message: bytes) -> None:
        """One message has been dealt with."""
        self._unconfirmed_bytes -= len(message)
        self._room.set()
        if self._acker is not None:
            self._acker.done(len(message))

    async def _say_goodbye(self) -> None:
        """Pass on what was confirmed, so that nothing dealt with is sent again."""
        self._leaving = True
        self._room.set()
        if self._acker is None or self.is_over:
            return
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._acker.finish()
                await self._call.done_writing()
                await self._call.code()
        except (TimeoutError, *CALL_FAILURES) as error:
            log.info("goodbye_unheard", error=str(error))

    def forget(self) -> None:
        """End whatever is left of the stream."""
        if self._acker is not None:
            self._acker.cancel()
        self._call.cancel()
