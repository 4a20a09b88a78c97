"""Send batches to somebody's gRPC v2 `Ingress` (an agent's, a Doppler's, an original router's).

In:    parcels from a shared diode; links to several peers pull from one.
Out:   one `BatchSender` stream per link; whatever waits leaves as one message.
Drops: nothing here. What a broken stream did not deliver goes back to the diode.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import structlog

from envelope.errors import DecodeError
from plumbing.acks import ACKS_METADATA, Window, decode_ack
from plumbing.diode import Parcel, SharedDiode
from plumbing.grpc_client import (
    CALL_FAILURES,
    Backoff,
    PeerRefused,
    PeerUnavailable,
    connected,
    granted,
    open_channel,
    translate,
)
from plumbing.tls import TlsFiles

log = structlog.get_logger(__name__)

BATCH_SENDER = "/loggregator.v2.Ingress/BatchSender"
MESSAGE_BYTES = 256 << 10
WINDOW_BYTES = 2 << 20
STALLED_S = 30.0
"""How long a peer may confirm nothing of what it was sent; one that lives confirms at once."""


@dataclass(slots=True)
class LinkCounts:
    """What one link has done, over all its connections."""

    address: str
    delivered: int = 0
    outside: int = 0
    """Those of them that a stranger was given, who acknowledges nothing and keeps no books."""
    returned: int = 0
    """Envelopes taken back from broken streams and sent again: a peer that died may have passed on some of them."""
    connects: int = 0
    connected: bool = False
    window: Window = field(default_factory=Window)


class Recycled(Exception):
    """The stream has carried as much as one connection should."""


async def keep_sending(
    diode: SharedDiode,
    counts: LinkCounts,
    tls: TlsFiles,
    *,
    server_name: str,
    recycle_after: int,
    rng: random.Random,
) -> None:
    """Send whatever `diode` holds to `counts.address` until it is closed and drained; reconnect as often as needed."""
    backoff = Backoff(rng)
    while True:
        try:
            await _connect_and_send(diode, counts, tls, server_name, recycle_after + rng.randrange(1000), backoff)
        except Recycled:
            continue
        except (PeerUnavailable, PeerRefused) as error:
            wait_s = backoff.next_s()
            log.warning("link_lost", peer=counts.address, error=str(error), retry_in_s=round(wait_s, 2))
            await asyncio.sleep(wait_s)
        else:
            return
        finally:
            counts.connected = False


async def _connect_and_send(
    diode: SharedDiode, counts: LinkCounts, tls: TlsFiles, server_name: str, recycle_after: int, backoff: Backoff
) -> None:
    async with connected_stream(tls, server_name, counts) as stream:
        try:
            await stream.open()
            backoff.reset()
            await stream.send_from(diode, recycle_after)
        finally:
            diode.give_back(stream.abandon())


@asynccontextmanager
async def connected_stream(tls: TlsFiles, server_name: str, counts: LinkCounts) -> AsyncIterator[IngressStream]:
    """Connect to `counts.address`, to open a stream there.

    Raises `PeerUnavailable` or `PeerRefused`, also for what fails within the block.
    """
    channel = open_channel(counts.address, tls, server_name)
    try:
        await connected(channel, counts.address)
        yield IngressStream(channel, counts)
    except CALL_FAILURES as error:
        raise translate(error, counts.address) from error
    finally:
        await channel.close()


class IngressStream:
    """One `BatchSender` stream and what it has in flight."""

    def __init__(self, channel: grpc.aio.Channel, counts: LinkCounts) -> None:
        self._call = channel.stream_stream(BATCH_SENDER)(metadata=(ACKS_METADATA,))
        self._counts = counts
        self._window = counts.window = Window()
        self._acks = False
        self._room = asyncio.Event()
        self._half_closed = False
        self._patience = asyncio.timeout(None)

    async def open(self) -> None:
        """Find out whether the peer acknowledges."""
        self._acks = ACKS_METADATA in await granted(self._call)
        if not self._acks and self._call.done():
            raise await self._status()
        self._counts.connected = True
        self._counts.connects += 1
        log.info("link_open", peer=self._counts.address, acknowledged=self._acks)

    async def send_from(self, diode: SharedDiode, recycle_after: int = 0) -> None:
        """Send what `diode` holds until it is closed and drained, then wait until all of it has arrived.

        Raises `Recycled` after `recycle_after` messages (0: never), `PeerUnavailable` when the stream ends early, or
        when the peer stalls: its machine may answer pings, and keep the connection, though nobody reads.
        """
        try:
            async with self._patience:
                await self._send_and_listen(diode, recycle_after)
        except TimeoutError as error:
            raise PeerUnavailable(f"{self._counts.address}: nothing confirmed for {STALLED_S:g} s") from error

    async def _send_and_listen(self, diode: SharedDiode, recycle_after: int) -> None:
        sender = asyncio.ensure_future(self._send(diode, recycle_after))
        listener = asyncio.ensure_future(self._listen())
        try:
            await asyncio.wait([sender, listener], return_when=asyncio.FIRST_COMPLETED)
            if sender.done():
                recycle = sender.result()
                self._half_closed = True
                self._be_patient()
                await self._call.done_writing()
                await listener
                self._check_all_arrived()
                if recycle:
                    raise Recycled
            else:
                listener.result()
                raise await self._status()
        finally:
            for task in (sender, listener):
                task.cancel()
            await asyncio.gather(sender, listener, return_exceptions=True)

    def abandon(self) -> list[Parcel]:
        """End the stream and take back what has not arrived."""
        self._call.cancel()
        parcels = self._window.abandon()
        self._counts.returned += sum(parcel.envelopes for parcel in parcels)
        return parcels

    async def _send(self, diode: SharedDiode, recycle_after: int) -> bool:
        window, counts = self._window, self._counts
        messages = 0
        while parcels := await diode.next(MESSAGE_BYTES):
            waits_already = window.in_flight
            window.sent(parcels)
            if not waits_already:
                self._be_patient()
            await self._call.write(b"".join([parcel.batch for parcel in parcels]))
            if not self._acks and not self._call.done():  # a write on a call that has just ended fails in silence
                given = window.acknowledge_all()
                counts.delivered += given
                counts.outside += given
                self._be_patient()
            while window.in_flight_bytes > WINDOW_BYTES:
                self._room.clear()
                await self._room.wait()
            messages += 1
            if messages == recycle_after:
                return True
        return False

    async def _listen(self) -> None:
        """Read acknowledgements until the peer ends the stream."""
        while message := await self._call.read():
            if message is grpc.aio.EOF:
                return
            try:
                self._counts.delivered += self._window.acknowledge(decode_ack(message))
            except DecodeError as error:
                raise PeerRefused(f"{self._counts.address}: {error}") from error
            self._acks = True  # headers may come late, if the peer is starved: it was none of the originals
            self._be_patient()
            self._room.set()

    def _be_patient(self) -> None:
        """Give the peer some time from now to confirm what is in flight, or to end the stream; else all the time."""
        waits = self._half_closed or self._window.in_flight
        self._patience.reschedule(asyncio.get_running_loop().time() + STALLED_S if waits else None)

    def _check_all_arrived(self) -> None:
        if self._window.in_flight:
            raise PeerUnavailable(f"{self._counts.address}: ended with {self._window.in_flight} envelopes unconfirmed")

    async def _status(self) -> PeerUnavailable | PeerRefused:
        code, details = await self._call.code(), await self._call.details()
        kind = PeerRefused if code is grpc.StatusCode.UNIMPLEMENTED else PeerUnavailable
        return kind(f"{self._counts.address}: {code.name}: {details or 'stream ended'}")


async def send_once(tls: TlsFiles, server_name: str, diode: SharedDiode, counts: LinkCounts) -> None:
    """Send a closed diode's content to `counts.address` over one connection and return when all of it has arrived.

    Raises `PeerUnavailable` or `PeerRefused`; then `counts.delivered` says how much did arrive.
    """
    async with connected_stream(tls, server_name, counts) as stream:
        try:
            await stream.open()
            await stream.send_from(diode)
        finally:
            stream.abandon()
