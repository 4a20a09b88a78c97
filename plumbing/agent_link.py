"""Send what a component says of itself to the agent beside it (loggregator.md 0.1).

In:    one batch of metrics every interval, and whatever else is put into the outbox.
Out:   the agent's `Ingress.BatchSender`, over mTLS; its certificate must carry the name `metron`.
Drops: the oldest in the outbox while the agent is away. A component never fails for want of an agent.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn, Protocol

import structlog
import trio

from plumbing.diode import Parcel, SharedDiode
from plumbing.first_of import first_of
from plumbing.grpc_client import Backoff, PeerRefused, PeerUnavailable
from plumbing.ingress_client import LinkCounts, connected_stream
from plumbing.island import Island
from plumbing.self_metrics import SelfMetrics
from plumbing.tls import TlsFiles

log = structlog.get_logger(__name__)

AGENT_NAME = "metron"
_OUTBOX_ENVELOPES = 1_000
_OUTBOX_BYTES = 1 << 20
_MOST_WAIT_S = 15.0


def open_outbox() -> SharedDiode:
    """Make the outbox of `emit_through_agent`: a parcel put into it is sent at once. Use it on the island."""
    return SharedDiode(_OUTBOX_ENVELOPES, _OUTBOX_BYTES)


class Reporting(Protocol):
    """The settings of a component that tells of itself."""

    @property
    def agent_address(self) -> str:
        """Return where the agent is; empty for none."""

    @property
    def self_metrics_interval_s(self) -> float:
        """Return how often to tell."""

    @property
    def tls(self) -> TlsFiles:
        """Return what to show the agent, and whom to trust."""


def report_through_agent(
    background: trio.Nursery,
    island: Island,
    config: Reporting,
    own: SelfMetrics,
    *,
    outbox: SharedDiode | None = None,
) -> None:
    """Send a component's own metrics, and what is put into `outbox`, for as long as `background` lives.

    Without an agent nothing is sent.
    """
    if config.agent_address:
        outbox = open_outbox() if outbox is None else outbox  # an empty one is false
        emit = partial(emit_through_agent, config.agent_address, config.tls, outbox=outbox)
        background.start_soon(island.run, emit, lambda: own.batch(time.time_ns()), config.self_metrics_interval_s)


async def emit_through_agent(
    address: str, tls: TlsFiles, make_batch: Callable[[], Parcel], interval_s: float, *, outbox: SharedDiode
) -> None:
    """Send `make_batch()` every `interval_s`, and what is in `outbox`, until cancelled or the outbox is closed.

    An agent that is away is waited for, and logged once; what does not fit into the outbox meanwhile is lost.
    """
    await first_of(_fill(outbox, make_batch, interval_s), _empty(outbox, address, tls))


async def _fill(outbox: SharedDiode, make_batch: Callable[[], Parcel], interval_s: float) -> NoReturn:
    while True:
        await asyncio.sleep(interval_s)
        outbox.put(make_batch())


async def _empty(outbox: SharedDiode, address: str, tls: TlsFiles) -> None:
    backoff = Backoff(random.Random(), most_s=_MOST_WAIT_S)
    away = False
    while True:
        counts = LinkCounts(address)
        try:
            return await _send(outbox, tls, counts)
        except (PeerUnavailable, PeerRefused) as error:
            if counts.delivered:
                away = False
                backoff.reset()
            if not away:
                log.warning("agent_away", peer=address, error=str(error))
            away = True
            await asyncio.sleep(backoff.next_s())


async def _send(outbox: SharedDiode, tls: TlsFiles, counts: LinkCounts) -> None:
    async with connected_stream(tls, AGENT_NAME, counts) as stream:
        try:
            await stream.open()
            await stream.send_from(outbox)
        finally:
            outbox.give_back(stream.abandon())
