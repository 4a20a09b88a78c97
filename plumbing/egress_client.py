"""Subscribe to every Doppler at once and merge their streams (loggregator.md 1.8, 2.1).

In:    batches of all Dopplers that the addresses resolve to; ones that come or go are noticed.
Out:   `Arrival`s, handed over on the island; each is confirmed when it has been dealt with.
Drops: nothing. What is not confirmed stays with its Doppler, which gives it to the next reader of the subscription.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import grpc
import structlog

from plumbing.acker import Acker
from plumbing.acks import ACKS_METADATA
from plumbing.egress_server import WINDOW_BYTES
from plumbing.grpc_client import Backoff, PeerRefused, PeerUnavailable, connected, open_channel, translate
from plumbing.peers import one_task_each
from plumbing.tls import TlsFiles

log = structlog.get_logger(__name__)

BATCHED_RECEIVER = "/loggregator.v2.Egress/BatchedReceiver"
DOPPLER = "doppler"  # the name a Doppler's certificate must carry (loggregator.md 0.1)
_GOODBYE_S = 2.0


class Dopplers:
    """One channel to each Doppler, shared by all the feeds of a process. Lives on the island."""

    def __init__(self, addresses: Sequence[str], tls: TlsFiles, rng: random.Random) -> None:
        self.addresses = tuple(addresses)
        self.rng = rng
        self._tls = tls
        self._channels: dict[str, grpc.aio.Channel] = {}

    def channel(self, address: str) -> grpc.aio.Channel:
        """Give the channel to one Doppler, opened when first asked for."""
        if address not in self._channels:
            self._channels[address] = open_channel(address, self._tls, DOPPLER)
        return self._channels[address]

    async def close(self) -> None:
        """Close every channel."""
        for channel in self._channels.values():
            await channel.close()


@dataclass(slots=True)
class Arrival:
    """One message of one Doppler; call `confirm` when it has been dealt with."""

    batch: bytes
    _stream: _Stream = field(repr=False)

    def confirm(self) -> None:
        """Tell the Doppler that it may forget this message."""
        self._stream.confirmed(self.batch)


Relay = Callable[[Arrival], Awaitable[None]]


class Feed:
    """One request, open at every Doppler. Lives on the island."""

    def __init__(self, dopplers: Dopplers, request: bytes, relay: Relay) -> None:
        self._dopplers = dopplers
        self._request = request
        self._relay = relay
        self._streams: set[_Stream] = set()

    async def run(self) -> None:
        """Subscribe at every Doppler and hand each message to `relay`, until cancelled."""
        try:
            await one_task_each(self._dopplers.addresses, self._keep_reading)
        finally:
            await asyncio.gather(*(stream.say_goodbye() for stream in self._streams))

    @property
    def blocked(self) -> bool:
        """Whether a Doppler's stream waits for confirmations: a window full is on our side."""
        return any(stream.blocked for stream in self._streams)

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
            wait_s = backoff.next_s()
            log.info("doppler_lost", peer=address, error=error, retry_in_s=round(wait_s, 2))
            await asyncio.sleep(wait_s)

    async def _read(self, address: str, backoff: Backoff) -> None:
        channel = self._dopplers.channel(address)
        await connected(channel, address)
        call = channel.stream_stream(BATCHED_RECEIVER)(metadata=(ACKS_METADATA,))
        await call.write(self._request)
        acknowledged = ACKS_METADATA in tuple(await call.initial_metadata() or ())
        backoff.reset()
        stream = _Stream(call, acknowledged)
        self._streams.add(stream)
        try:
            await stream.read_all(self._relay)
        except asyncio.CancelledError:
            raise  # we leave: `run` says goodbye
        except BaseException:
            stream.forget()
            self._streams.discard(stream)
            raise
        stream.forget()
        self._streams.discard(stream)


class _Stream:
    """One open stream, and what of it is on our side and not confirmed yet."""

    def __init__(self, call: grpc.aio.StreamStreamCall, acknowledged: bool) -> None:
        self._call = call
        self._acker = Acker(call.write) if acknowledged else None
        self._unconfirmed_bytes = 0
        self._room = asyncio.Event()

    async def read_all(self, relay: Relay) -> None:
        """Hand each message over, and read no more than a window ahead of what is confirmed."""
        if self._acker is None:
            await self._call.done_writing()
        read = self._call.read
        while (message := await read()) is not grpc.aio.EOF:
            self._unconfirmed_bytes += len(message)
            await relay(Arrival(message, self))
            while self.blocked:
                self._room.clear()
                await self._room.wait()

    @property
    def blocked(self) -> bool:
        """Whether there is no room for more in the window."""
        return self._unconfirmed_bytes > WINDOW_BYTES

    def confirmed(self, message: bytes) -> None:
        """One message has been dealt with."""
        self._unconfirmed_bytes -= len(message)
        self._room.set()
        if self._acker is not None:
            self._acker.done(len(message))

    async def say_goodbye(self) -> None:
        """Leave in good order: pass on what was confirmed, so that nothing dealt with is sent again."""
        try:
            async with asyncio.timeout(_GOODBYE_S):
                if self._acker is not None:
                    await self._acker.finish()
                    await self._call.done_writing()
                    await self._call.code()
        except (TimeoutError, grpc.RpcError, asyncio.InvalidStateError) as error:
            log.info("goodbye_unheard", error=str(error))
        finally:
            self.forget()

    def forget(self) -> None:
        """End whatever is left of the stream."""
        if self._acker is not None:
            self._acker.cancel()
        self._call.cancel()
