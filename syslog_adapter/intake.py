"""What comes in from the Dopplers, on its way from the island to the drains.

In:    batches of every Doppler, one subscription shared by all adapters. They cross to trio with one wake-up for all
       that came in 20 ms; what waits there is bounded by the windows of the streams, 2 MiB each.
Out:   `dispatch(batch, count, kinds)`. An arrival is confirmed once the drains have it, and those with spools have it
       on disk or have delivered it: what a kill takes of it comes again, and may come twice. No more than 1 MiB waits
       for that, so that no drain holds up the others: of what comes faster, a kill takes what was not on disk.
Drops: what is no envelope, and what no drain asks for, is skipped and counted.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import trio

from plumbing.acks import PROMPT
from plumbing.gathering.confirmations import confirm_all
from plumbing.gathering.crossing import Crossing
from plumbing.island import Island
from plumbing.ledger import Account
from plumbing.subscription import Checked, FedCounts, Incoming, Subscription
from syslog_adapter.dispatch import Debt

_MOST_WAITING = 10_000
_LINGER_S = 0.02
_LOOK_S = 0.02
_MOST_UNSAFE_BYTES = PROMPT.window_bytes // 2


class Dispatch(Protocol):
    """Whatever hands batches to drains."""

    def dispatch(self, batch: bytes, count: int, kinds: int) -> int:
        """Hand over an admitted batch; returns how many envelopes concern nobody."""

    def debts(self) -> tuple[Debt, ...]:
        """Say what of all that was handed over is not safe, though it is to be."""


@dataclass(slots=True)
class IntakeCounts(FedCounts):
    """What came in, in envelopes."""

    undrained: int = 0
    """Those that no drain asks for."""


class _Dealt(NamedTuple):
    """What the drains have, until it is confirmed."""

    arrivals: Sequence[Incoming]
    size: int
    debts: tuple[Debt, ...]


class Intake:
    """Reads the Dopplers on the island, and counts and dispatches on the trio thread."""

    def __init__(self, island: Island, dispatcher: Dispatch) -> None:
        self.counts = IntakeCounts()
        self.subscription = Subscription(self.relay)
        self._island = island
        self._dispatcher = dispatcher
        self._crossing: Crossing[Checked] = Crossing(island, _MOST_WAITING, linger_s=_LINGER_S)
        self._running = trio.CancelScope()
        self._dealt: deque[_Dealt] = deque()
        self._dealt_bytes = 0

    async def relay(self, checked: Checked) -> None:
        """See that a message crosses over. On the island."""
        await self._crossing.room()
        self._crossing.put(checked)

    async def run(self) -> None:
        """Hand over what comes, until stopped."""
        with self._running:
            while True:
                with trio.move_on_after(_LOOK_S if self._dealt else math.inf):
                    await self._crossing.wait()
                self._deal()
                self._confirm(_MOST_UNSAFE_BYTES)

    def stop(self) -> None:
        """Hand over what has come, and no more: the rest stays with its Doppler. Spools take what is not safe yet."""
        self._running.cancel()
        self._deal()
        self._confirm(-math.inf)

    def finish(self) -> None:
        """Hand over what has come since then from Dopplers that do not keep it; the subscription is closed."""
        while (checked := self._crossing.take()) is not None:
            if not checked.arrival.is_kept:
                self._dispatch(checked)

    def account(self) -> Account:
        """Show the books of the subscription: what any drain asked for was delivered, the rest skipped."""
        return self.counts.account(unwanted=self.counts.undrained)

    def _deal(self) -> None:
        """Dispatch all that waits. On the trio thread."""
        arrivals = []
        while (checked := self._crossing.take()) is not None:
            self._dispatch(checked)
            arrivals.append(checked.arrival)
        if arrivals:
            size = sum(len(arrival.batch) for arrival in arrivals)
            self._dealt.append(_Dealt(arrivals, size, self._dispatcher.debts()))
            self._dealt_bytes += size

    def _confirm(self, most_bytes: float) -> None:
        """Have confirmed, in order, what is safe, and the oldest while those that wait have so many bytes."""
        arrivals: list[Incoming] = []
        while self._dealt and (self._dealt_bytes >= most_bytes or all(debt.is_paid for debt in self._dealt[0].debts)):
            dealt = self._dealt.popleft()
            self._dealt_bytes -= dealt.size
            arrivals += dealt.arrivals
        if arrivals:
            self._island.post(confirm_all, arrivals)

    def _dispatch(self, checked: Checked) -> None:
        self.counts.note(checked)
        if checked.count:
            self.counts.undrained += self._dispatcher.dispatch(checked.batch, checked.count, checked.kinds)
