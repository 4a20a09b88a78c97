"""Where an agent's own sources hand their batches over: with back-pressure where the source can wait, as a file can."""

from __future__ import annotations

from collections.abc import Callable

import trio

from metron.agent import Agent
from plumbing.island import Island


class AgentOutlet:
    """Passes batches to the agent on the island, `max_bytes` of them unsettled at most."""

    def __init__(self, island: Island, agent: Agent, max_bytes: int) -> None:
        self._island = island
        self._agent = agent
        self._max_bytes = max_bytes
        self._unsettled_bytes = 0
        self._freed = trio.lowlevel.ParkingLot()

    async def send(self, batch: bytes, count: int, settled: Callable[[], None] | None = None) -> None:
        """Hand over a batch of `count` envelopes; waits while there is no room.

        `settled` is called on the trio thread once the batch is delivered to a Doppler, or dropped and counted.
        """
        while self._unsettled_bytes and self._unsettled_bytes + len(batch) > self._max_bytes:
            await self._freed.park()
        self._unsettled_bytes += len(batch)

        def on_island() -> None:
            self._island.to_trio(self._settle, len(batch), settled)

        self._island.post(self._agent.accept_from_source, batch, count, on_island)

    def _settle(self, size: int, settled: Callable[[], None] | None) -> None:
        self._unsettled_bytes -= size
        self._freed.unpark_all()
        if settled is not None:
            settled()


class DoorOutlet:
    """Passes what came in datagrams to the agent on the island. The agent takes it at once and drops its oldest.

    Each burst waits for the island's next turn and no longer. So no bursts pile up between the threads, and what
    comes in the meantime makes the next burst larger, which costs less per datagram.
    """

    def __init__(self, island: Island, agent: Agent) -> None:
        self._island = island
        self._agent = agent

    async def take(self, batch: bytes, count: int, *, malformed: int, overflowed: int) -> None:
        """Hand over a batch of `count` envelopes, and the counts of those that were lost on the way here."""
        await self._island.call(self._agent.accept_from_datagrams, batch, count, malformed, overflowed)
