"""One subscription at every Doppler, by gRPC v2, for a trio task: they keep what is not confirmed."""

from __future__ import annotations

import trio

from plumbing.egress_client import Dopplers
from plumbing.gathering.batcher import Piece
from plumbing.gathering.crossing import Crossing
from plumbing.gathering.intake import Intake
from plumbing.island import Island
from plumbing.ledger import Account
from plumbing.subscription import Subscription

CROSSING_PIECES = 10_000
"""Arrivals on their way from the island to trio; their bytes are bounded by the windows of their streams."""


class DopplerSource:
    """Hands what the Dopplers send to an intake, which puts it into a crossing."""

    def __init__(
        self, island: Island, connections: Dopplers, intake: Intake, crossing: Crossing[Piece], request: bytes
    ) -> None:
        self.connections = connections
        self.intake = intake
        self.crossing = crossing
        self.request = request
        self._island = island
        self._subscription = Subscription(intake.take)

    async def open(self, nursery: trio.Nursery | None = None) -> None:  # noqa: ARG002 - it lives on the island
        """Begin to read."""
        await self._island.call(self._subscription.open, self.connections, self.request)

    async def account(self) -> Account:
        """Show the books of the subscription."""
        return await self._island.call(self.intake.account)

    async def stop(self) -> None:
        """Let nothing more in; what came before can still be confirmed."""
        await self._island.call(self.intake.close)

    async def close(self) -> None:
        """Pass on what was confirmed, and hang up."""
        await self._island.run(self._subscription.close)
        await self._island.run(self.connections.close)
