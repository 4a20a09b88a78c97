"""Where a nozzle's envelopes come from, as the rest of the runner sees it; and the Dopplers, as one such source."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Protocol

import trio

from envelope.selectors import make_request
from nozzles.config import Config
from nozzles.filters import FilterSettings, make_filter
from nozzles.runner.batcher import Piece
from nozzles.runner.crossing import Crossing
from nozzles.runner.intake import Intake, Step
from nozzles.runner.recognise import Memory
from nozzles.runner.selection import selection_of
from nozzles.transforms import make_transforms
from plumbing.egress_client import Dopplers
from plumbing.island import Island
from plumbing.ledger import Account
from plumbing.subscription import Subscription

_CROSSING_PIECES = 10_000
"""Arrivals on their way from the island to trio; their bytes are bounded by the windows of their streams."""


class Connections(Protocol):
    """How often there was one."""

    connects: int
    """Streams that were opened."""
    disconnects: int
    """Those of them that have ended."""


class Source(Protocol):
    """Hands what comes from outside to an intake, which puts it into a crossing."""

    intake: Intake
    crossing: Crossing[Piece]

    @property
    def connections(self) -> Connections:
        """Count the streams."""

    async def open(self, nursery: trio.Nursery) -> None:
        """Begin to read."""

    async def account(self) -> Account:
        """Show the books of what came."""

    async def stop(self) -> None:
        """Let nothing more in; what came before can still be confirmed."""

    async def close(self) -> None:
        """Hang up, when all that could be confirmed was."""


class DopplerSource:
    """Every Doppler, by gRPC v2: they send what is selected, and keep what is not confirmed."""

    def __init__(self, config: Config, island: Island, known: Iterable[bytes] | None) -> None:
        self.connections = Dopplers(config.doppler_addresses, config.tls, random.Random())
        self.crossing: Crossing[Piece] = Crossing(island, _CROSSING_PIECES, linger_s=config.batch_max_age_s / 4)
        selection = selection_of(config.filter)
        self.intake = make_intake(config, selection.rest, self.crossing, self.connections, known)
        self._island = island
        self._subscription = Subscription(self.intake.take)
        self._request = make_request(
            selection.kinds,
            shard_id=config.subscription,
            sources=selection.sources,
            deterministic_name=config.deterministic_name,
        )

    async def open(self, nursery: trio.Nursery) -> None:  # noqa: ARG002 - it lives on the island
        """Begin to read."""
        await self._island.call(self._subscription.open, self.connections, self._request)

    async def account(self) -> Account:
        """Show the books of the subscription."""
        return await self._island.call(self.intake.account)

    async def stop(self) -> None:
        """Let nothing more in."""
        await self._island.call(self.intake.close)

    async def close(self) -> None:
        """Pass on what was confirmed, and hang up."""
        await self._island.run(self._subscription.close)
        await self._island.run(self.connections.close)


def make_intake(
    config: Config,
    wanted: FilterSettings,
    crossing: Crossing[Piece],
    connections: Connections,
    known: Iterable[bytes] | None,
) -> Intake:
    """Make the intake of a source; `known` are marks of what came before, if it must not come twice."""
    steps: list[Step] = []
    if (keep := make_filter(wanted)) is not None:
        steps.append(lambda batch, _: keep(batch))
    if config.transforms:
        steps.append(make_transforms(config.transforms))
    memory = None if known is None else Memory(known, lambda: connections.connects)
    return Intake(crossing, steps, memory)
