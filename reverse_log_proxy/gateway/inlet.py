"""One feed from the Dopplers, carried from the island to trio.

In:    arrivals on the island.
Out:   the same on trio's thread; one notification for however many wait.
Drops: nothing. What is not confirmed stays with its Doppler, within the window of each stream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import trio

from plumbing.egress_client import Arrival, Dopplers, Feed
from plumbing.island import Island

_GOODBYE_S = 5.0


class Inlet:
    """A feed of its own for one session; `arrived` is called on trio's thread."""

    def __init__(self, island: Island, dopplers: Dopplers, request: bytes, arrived: Callable[[Arrival], None]) -> None:
        self._island = island
        self._feed = Feed(dopplers, request, self._relay)
        self._arrived = arrived
        self._crossing: deque[Arrival] = deque()
        self._announced = False
        self._reading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Read until cancelled, then leave the Dopplers in good order: they hear of what was confirmed."""
        try:
            await self._island.run(self._read)
        finally:
            with trio.move_on_after(_GOODBYE_S, shield=True):
                await self._island.run(self._left)

    def confirm(self, arrivals: Sequence[Arrival]) -> None:
        """Tell the Dopplers, soon, that these have been dealt with."""
        self._island.post(_confirm, arrivals)

    async def _read(self) -> None:
        self._reading = asyncio.current_task()
        await self._feed.run()

    async def _left(self) -> None:
        """Wait for the goodbyes: reading was cancelled before this is called, and twice would cut them short."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def _relay(self, arrival: Arrival) -> None:
        self._crossing.append(arrival)
        if not self._announced:
            self._announced = True
            self._island.to_trio(self._land)

    def _land(self) -> None:
        self._announced = False  # first: whoever arrives from now on is announced anew
        while self._crossing:
            self._arrived(self._crossing.popleft())


def _confirm(arrivals: Sequence[Arrival]) -> None:
    for arrival in arrivals:
        arrival.confirm()
