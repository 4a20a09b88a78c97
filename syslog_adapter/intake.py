"""What comes in from the Dopplers, on its way from the island to the drains.

In:    batches of every Doppler, one subscription shared by all adapters. They cross to trio with one wake-up for all
       that came in 20 ms; what waits there is bounded by the windows of the streams, 2 MiB each.
Out:   `dispatch(batch, count, kinds)`. An arrival is confirmed once the drains have it.
Drops: what is no envelope, and what no drain asks for, is skipped and counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import trio

from plumbing.gathering.crossing import Crossing
from plumbing.island import Island
from plumbing.ledger import Account
from plumbing.subscription import Checked, FedCounts, Incoming, Subscription

_MOST_WAITING = 10_000
_LINGER_S = 0.02


class Dispatch(Protocol):
    """Whatever hands batches to drains."""

    def dispatch(self, batch: bytes, count: int, kinds: int) -> int:
        """Hand over an admitted batch; returns how many envelopes concern nobody."""


@dataclass(slots=True)
class IntakeCounts(FedCounts):
    """What came in, in envelopes."""

    undrained: int = 0
    """Those that no drain asks for."""


class Intake:
    """Reads the Dopplers on the island, and counts and dispatches on the trio thread."""

    def __init__(self, island: Island, dispatcher: Dispatch) -> None:
        self.counts = IntakeCounts()
        self.subscription = Subscription(self.relay)
        self._island = island
        self._dispatcher = dispatcher
        self._crossing: Crossing[Checked] = Crossing(island, _MOST_WAITING, linger_s=_LINGER_S)
        self._running = trio.CancelScope()

    async def relay(self, checked: Checked) -> None:
        """See that a message crosses over. On the island."""
        await self._crossing.room()
        self._crossing.put(checked)

    async def run(self) -> None:
        """Hand over what comes, until stopped."""
        with self._running:
            while True:
                await self._crossing.wait()
                self._deal()

    def stop(self) -> None:
        """Hand over what has come, and no more: the rest stays with its Doppler."""
        self._running.cancel()
        self._deal()

    def account(self) -> Account:
        """Show the books of the subscription: what any drain asked for was delivered, the rest skipped."""
        return self.counts.account(unwanted=self.counts.undrained)

    def _deal(self) -> None:
        """Dispatch all that waits, then have it confirmed. On the trio thread."""
        counts, dealt = self.counts, []
        while (checked := self._crossing.take()) is not None:
            counts.note(checked)
            if checked.count:
                counts.undrained += self._dispatcher.dispatch(checked.batch, checked.count, checked.kinds)
            dealt.append(checked.arrival)
        self._island.post(_confirm, dealt)


def _confirm(arrivals: Iterable[Incoming]) -> None:
    for arrival in arrivals:
        arrival.confirm()
