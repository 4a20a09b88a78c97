"""Hand batches to the agent, and know which of them it has: waiting for it, or never waiting.

In:    serialised batches, from trio.
Out:   the agent's gRPC `Ingress`.
Drops: an `Outbox` nothing, it waits; a `Shipment` the oldest envelopes when the agent takes less than comes.
"""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from plumbing.diode import Parcel, SharedDiode
from plumbing.grpc_client import PeerRefused, PeerUnavailable
from plumbing.ingress_client import LinkCounts, keep_sending, send_once
from plumbing.island import Island, open_island
from plumbing.tls import TlsFiles
from standpipe.errors import AccessDenied, CommandFailed, NotRunning
from standpipe.system import System
from standpipe.writing.knock import knock

AGENT = "metron"
"""The agent's name in `endpoints.json`, and the server name its certificate must carry (loggregator.md 0.1)."""

WINDOW_BYTES = 6 << 20
"""What may be on its way unconfirmed: three times what the stream itself has in flight, so that it never runs dry."""

SHIPMENT_ENVELOPES = 500_000
SHIPMENT_BYTES = 64 << 20
FINISH_WITHIN_S = 5.0


class Outbox:
    """Sends over one connection, with back-pressure. Used from trio; the diode and the counts live on the island."""

    def __init__(self, island: Island, address: str) -> None:
        self.put_total = 0
        self.failure: PeerUnavailable | PeerRefused | None = None
        self._closed = False
        self._island = island
        self._diode = SharedDiode(sys.maxsize, sys.maxsize)  # `put` is what bounds it
        self._counts = LinkCounts(address)
        self._unconfirmed_bytes = 0
        self._freed = trio.Event()

    @property
    def confirmed(self) -> int:
        """Envelopes the agent has."""
        return self._counts.delivered

    async def put(self, batch: bytes, count: int) -> None:
        """Send a batch of `count` envelopes; waits while too much is unconfirmed."""
        while self._unconfirmed_bytes >= WINDOW_BYTES:
            self._freed = trio.Event()
            await self._freed.wait()
        size = len(batch)
        self._unconfirmed_bytes += size
        self.put_total += count
        parcel = Parcel(batch, count, lambda: self._island.to_trio(self._confirm, size))
        self._island.post(self._diode.put, parcel)

    def close(self) -> None:
        """Say that nothing more comes: `send` returns once the rest is confirmed."""
        self._closed = True
        self._island.post(self._diode.close)

    async def send(self, tls: TlsFiles, scope: trio.CancelScope) -> None:
        """Send until closed and confirmed; on failure keep the reason and cancel `scope`."""
        try:
            await self._island.run(send_once, tls, AGENT, self._diode, self._counts)
        except (PeerUnavailable, PeerRefused) as error:
            if self._closed and self.confirmed == self.put_total:
                return  # the connection broke after it had done its work
            self.failure = error
            scope.cancel()

    def _confirm(self, size: int) -> None:
        self._unconfirmed_bytes -= size
        self._freed.set()


@asynccontextmanager
async def open_outbox(system: System) -> AsyncIterator[Outbox]:
    """Connect to the agent; leaving the block waits until it has confirmed everything.

    Cancels the block and raises `NotRunning` or `AccessDenied`, which say how much was confirmed, when that fails.
    """
    tls = system.tls()
    await knock(system, AGENT, AGENT)
    async with open_island() as island:
        outbox = Outbox(island, system.address(AGENT))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.send, tls, nursery.cancel_scope)
            yield outbox
            outbox.close()
    if outbox.failure is not None:
        raise _unconfirmed(outbox, outbox.failure) from outbox.failure


def _unconfirmed(outbox: Outbox, failure: PeerUnavailable | PeerRefused) -> CommandFailed:
    kind = AccessDenied if isinstance(failure, PeerRefused) else NotRunning
    return kind(f"{outbox.confirmed:,} of {outbox.put_total:,} envelopes were confirmed: {failure}")


class Shipment:
    """Sends in the background, connecting as often as it takes; whoever puts something in never waits."""

    def __init__(self, island: Island, address: str) -> None:
        self.put_total = 0
        self.trouble = ""
        """Why not everything arrived."""
        self._island = island
        self._diode = SharedDiode(SHIPMENT_ENVELOPES, SHIPMENT_BYTES)
        self._counts = LinkCounts(address)
        self._sent = trio.Event()

    @property
    def lost(self) -> int:
        """Envelopes the agent has not confirmed."""
        return self.put_total - self._counts.delivered

    def put(self, batch: bytes, count: int) -> None:
        """Send a batch of `count` envelopes when there is time."""
        self.put_total += count
        self._island.post(self._diode.put, Parcel(batch, count))

    async def send(self, tls: TlsFiles) -> None:
        """Send until finished, or cancelled."""
        await self._island.run(self._send, tls)
        self._sent.set()

    async def finish(self, system: System) -> None:
        """Give what is left a moment to arrive, if there is somebody to take it."""
        await self._island.call(self._diode.close)
        try:
            if not self._counts.connected:
                await knock(system, AGENT, AGENT)
        except CommandFailed as error:
            self.trouble = str(error)
            return
        with trio.move_on_after(FINISH_WITHIN_S) as patience:
            await self._sent.wait()
        if patience.cancelled_caught:
            self.trouble = f"{self._counts.address} did not confirm them within {FINISH_WITHIN_S:g} s"
        elif self._diode.dropped_total:
            self.trouble = f"{self._counts.address} took less than was written"

    async def _send(self, tls: TlsFiles) -> None:
        endless = sys.maxsize  # one stream is all this lives for: no recycling
        await keep_sending(
            self._diode, self._counts, tls, server_name=AGENT, recycle_after=endless, rng=random.Random()
        )


@asynccontextmanager
async def open_shipment(system: System) -> AsyncIterator[Shipment]:
    """Ship to the agent, reachable or not; leaving the block gives what is left a moment to arrive."""
    tls, address = system.tls(), system.address(AGENT)
    async with open_island() as island, trio.open_nursery() as nursery:
        shipment = Shipment(island, address)
        nursery.start_soon(shipment.send, tls)
        yield shipment
        await shipment.finish(system)
        nursery.cancel_scope.cancel()


@dataclass(slots=True)
class Undeliverable:
    """Stands in for a `Shipment` where there is nobody to ship to: counts what is put in."""

    trouble: str
    put_total: int = 0

    @property
    def lost(self) -> int:
        """All of it."""
        return self.put_total

    def put(self, batch: bytes, count: int) -> None:  # noqa: ARG002 - as `Shipment.put`
        """Count a batch."""
        self.put_total += count
