"""Where an agent's own sources hand their batches over: with back-pressure, since a file can wait."""

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
