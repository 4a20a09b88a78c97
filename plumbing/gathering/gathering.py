"""Take what comes over from the island, make batches of it, and put them into the backlog. A trio task.

In:    pieces, each what is left of one arrival.
Out:   batches, into the backlog; arrivals are confirmed, in their order, once they are safe.
Drops: nothing. While the backlog has no room nothing is taken, and so, by and by, nothing read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from plumbing.gathering.batcher import Batcher, Bundle, Piece
from plumbing.gathering.confirmations import Confirmations


class Source(Protocol):
    """Where pieces come from: `plumbing.gathering.crossing.Crossing`."""

    async def wait(self) -> None:
        """Return once there may be some."""

    def take(self) -> Piece | None:
        """Take the oldest, if there is one."""


class Keeper(Protocol):
    """Where batches wait for the sink: `plumbing.backlog.Backlog`."""

    async def put(self, batch: bytes, count: int, *, marks: Sequence[bytes] = (), safe: Callable[[], None]) -> None:
        """Take a batch, when there is room for it; `safe` is called once it cannot be lost."""


class Gathering:
    """Gathers pieces into batches, until closed."""

    def __init__(self, source: Source, batcher: Batcher, keeper: Keeper, confirmations: Confirmations) -> None:
        self.received = 0
        """Envelopes taken over."""
        self._source = source
        self._batcher = batcher
        self._keeper = keeper
        self._confirmations = confirmations
        self._waiting = trio.CancelScope()
        self._closed = False

    def close(self) -> None:
        """Let `run` return once all that came over is in the backlog."""
        self._closed = True
        self._waiting.cancel()

    async def run(self) -> None:
        """Gather until closed."""
        while not self._closed:
            with trio.CancelScope(deadline=self._batcher.due_at) as self._waiting:
                await self._source.wait()
            await self._take_all()
            if trio.current_time() >= self._batcher.due_at:
                await self._put(self._batcher.take())
        await self._take_all()
        await self._put(self._batcher.take())

    async def _take_all(self) -> None:
        while (piece := self._source.take()) is not None:
            self.received += piece.count
            await self._put(self._batcher.add(piece, trio.current_time()))

    async def _put(self, bundles: Sequence[Bundle]) -> None:
        for bundle in bundles:
            safe = self._confirmations.expect(bundle.arrivals)
            if bundle.count or bundle.marks:
                await self._keeper.put(bundle.batch, bundle.count, marks=bundle.marks, safe=safe)
            else:
                safe()
