"""What waits for a drain, in memory alone: it is gone when the process is killed.

In:    batches, at any time. Out: the oldest of them, joined, into the hand of whoever sends.
Drops: `overflow`: the oldest, when more wait than there is room for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import trio

from plumbing.diode import Diode, Parcel
from syslog_adapter.cutting import Hand

AT_ONCE_BYTES = 128 << 10


class MemoryQueue:
    """A diode, and what of it is in hand. `put_total == settled by the hand + overflow + held` at every moment."""

    on_disk: int = 0
    recovered: int = 0
    gives_up: bool = True
    """What fails too often is lost, so that what is behind it has its turn."""

    def __init__(self, capacity: int, capacity_bytes: int) -> None:
        self.hand = Hand()
        self._diode = Diode(capacity, capacity_bytes)
        self._closing = False
        self._news = trio.Event()

    @property
    def held(self) -> int:
        """Envelopes that wait, those in hand included."""
        return self._diode.held + self.hand.count

    @property
    def dropped(self) -> Mapping[str, int]:
        """Envelopes for which there was no room, by reason."""
        return {"overflow": self._diode.dropped_total}

    def put(self, batch: bytes, count: int) -> None:
        """Take an admitted batch; the oldest make room."""
        self._diode.put(Parcel(batch, count))
        self._news.set()

    def close(self, *, keep: bool) -> None:  # noqa: ARG002  # what a `Queue` is asked
        """Wait for nothing more. `keep` changes nothing: what does not leave is lost."""
        self._closing = True
        self._news.set()

    def abandon(self) -> int:
        """Let go of all that is held, and say how much that was."""
        lost = self.held
        self._diode.take(self._diode.held_bytes)
        self.hand.let_go(self.hand.count)
        return lost

    async def serve(self, deliver: Callable[[], Awaitable[None]]) -> None:
        """Have it delivered for as long as anything waits."""
        while self._take():
            await deliver()

    async def more(self, patience_s: float) -> bool:
        """Have something in hand; false when nothing came for so long, or nothing will come."""
        if not self._take() and not self._closing:
            self._news = trio.Event()
            with trio.move_on_after(patience_s):
                await self._news.wait()
        return self._take()

    async def done(self) -> None:
        """Hear that something left the hand."""

    def _take(self) -> bool:
        if not self.hand.count and self._diode:
            take_into(self.hand, self._diode)
        return bool(self.hand.count)


def take_into(hand: Hand, diode: Diode) -> None:
    """Move the oldest parcels into an empty hand, as many as are sent at once."""
    parcels = diode.take(AT_ONCE_BYTES)
    batch = parcels[0].batch if len(parcels) == 1 else b"".join([parcel.batch for parcel in parcels])
    hand.take(batch, sum(parcel.envelopes for parcel in parcels))
