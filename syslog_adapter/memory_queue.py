"""What waits for a drain, in memory alone: it is gone when the process is killed.

In:    batches, at any time. Out: the oldest of them, joined, into the hand of whoever sends.
Drops: `overflow`: the oldest, when more wait than there is room for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import trio

from syslog_adapter.cutting import Hand
from syslog_adapter.inbox import AT_ONCE, Inbox, Together


class MemoryQueue:
    """An inbox, and what of it is in hand. `put_total == settled by the hand + overflow + held` at every moment."""

    on_disk: int = 0
    recovered: int = 0
    gives_up: bool = True
    """What fails too often is lost, so that what is behind it has its turn."""

    def __init__(self, capacity: int, capacity_bytes: int, together: Together = AT_ONCE) -> None:
        self.hand = Hand()
        self._inbox = Inbox(capacity, capacity_bytes, together)

    @property
    def held(self) -> int:
        """Envelopes that wait, those in hand included."""
        return self._inbox.held + self.hand.count

    @property
    def dropped(self) -> Mapping[str, int]:
        """Envelopes for which there was no room, by reason."""
        return {"overflow": self._inbox.overflow}

    def put(self, batch: bytes, count: int) -> None:
        """Take an admitted batch; the oldest make room."""
        self._inbox.put(batch, count)

    def close(self, *, keep: bool) -> None:  # noqa: ARG002  # what a `Queue` is asked
        """Wait for nothing more. `keep` changes nothing: what does not leave is lost."""
        self._inbox.close()

    def abandon(self) -> int:
        """Let go of all that is held, and say how much that was."""
        lost = self.held
        self._inbox.clear()
        self.hand.let_go(self.hand.count)
        return lost

    async def serve(self, deliver: Callable[[], Awaitable[None]]) -> None:
        """Have it delivered for as long as anything waits."""
        while self.hand.count or self._inbox:
            await deliver()

    async def more(self, patience_s: float) -> bool:
        """Have something in hand; false when nothing came for so long, or nothing will come."""
        if not self.hand.count:
            with trio.move_on_after(patience_s):
                await self._inbox.wait()
            await self._inbox.linger()
            if self._inbox:
                self._inbox.move_into(self.hand)
        return bool(self.hand.count)

    async def done(self) -> None:
        """Hear that something left the hand."""
