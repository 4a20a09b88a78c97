"""What comes from the Dopplers, on its way to the batcher. Lives where its source does: on the island, or in trio.

In:    batches, checked.
Out:   what filter and transforms leave of each, into the crossing to trio; nothing is confirmed here.
Drops: nothing that is an envelope; what is not wanted, or came before, is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from plumbing.gathering.batcher import Piece
from plumbing.ledger import Account
from plumbing.subscription import Checked, FedCounts, Stream

Step: TypeAlias = Callable[[bytes, int], tuple[bytes, int]]
"""Takes an admitted batch and its count, returns what it leaves of it."""


class Over(Protocol):
    """Where pieces go: `plumbing.gathering.crossing.Crossing`."""

    async def room(self) -> None:
        """Wait until there is room for one more."""

    def put(self, item: Piece) -> None:
        """Send it over."""


class Recognises(Protocol):
    """Whatever knows envelopes again: `plumbing.gathering.recognise.Memory`."""

    def new_part(self, batch: bytes, count: int, stream: Stream) -> tuple[bytes, int, bytes]:
        """Return what of an admitted batch did not come before, how many that is, and the marks of those."""


@dataclass(slots=True)
class IntakeCounts(FedCounts):
    """What came in, in envelopes."""

    filtered: int = 0
    """Not wanted, by the filter or by a transform."""
    repeated: int = 0
    """Had come before, and were safe already."""


class Intake:
    """Takes batches in, and sends over what the nozzle is for."""

    def __init__(self, over: Over, steps: list[Step], memory: Recognises | None = None) -> None:
        self.counts = IntakeCounts()
        self._over = over
        self._steps = steps
        self._memory = memory
        self._closed = False

    async def take(self, checked: Checked) -> None:
        """Send what is wanted of it over, when there is room; once closed, do nothing."""
        await self._over.room()
        if not self._closed:
            self._over.put(self._piece(checked))

    def close(self) -> None:
        """Take nothing more in: what comes now stays with its Doppler. What came before can still be confirmed."""
        self._closed = True

    def account(self) -> Account:
        """Show the books of the subscription."""
        return self.counts.account(unwanted=self.counts.filtered + self.counts.repeated)

    def _piece(self, checked: Checked) -> Piece:
        counts, mark = self.counts, b""
        counts.note(checked)
        batch, count = checked.batch, checked.count
        if self._memory:
            batch, count, mark = self._memory.new_part(batch, count, checked.arrival.stream)
            counts.repeated += checked.count - count
        fresh = count
        for step in self._steps:
            if count:
                batch, count = step(batch, count)
        counts.filtered += fresh - count
        return Piece(batch, count, checked.arrival, mark)
