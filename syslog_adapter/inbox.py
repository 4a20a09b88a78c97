"""What comes for a drain, until it is taken to be sent.

In:    batches, at any time. Out: the oldest of them, joined, into the hand of whoever sends.
Drops: `overflow`: the oldest, when more wait than there is room for.
"""

from __future__ import annotations

from dataclasses import dataclass

import trio

from plumbing.diode import Diode, Parcel
from syslog_adapter.cutting import Hand


@dataclass(frozen=True, slots=True)
class Together:
    """How much is sent at once."""

    most_bytes: int = 128 << 10
    """So many bytes of envelopes, or one batch."""

    linger_s: float = 0.0
    """How long what came first waits for others, if there are not so many."""


AT_ONCE = Together()
"""What is sent as soon as it is there."""


class Inbox:
    """A diode, and word of what is new in it."""

    def __init__(self, capacity: int, capacity_bytes: int, together: Together) -> None:
        self.closed = False
        """Whether nothing more will be waited for."""
        self._diode = Diode(capacity, capacity_bytes)
        self._together = together
        self._crowd = capacity // 2, capacity_bytes // 2
        self._news = trio.Event()

    def __bool__(self) -> bool:
        return bool(self._diode)

    @property
    def held(self) -> int:
        """Envelopes that wait."""
        return self._diode.held

    @property
    def overflow(self) -> int:
        """Envelopes that made room for others."""
        return self._diode.dropped_total

    def put(self, batch: bytes, count: int) -> None:
        """Take an admitted batch; the oldest make room. Hot path."""
        self._diode.put(Parcel(batch, count))
        self._news.set()

    def close(self) -> None:
        """Let nobody wait for more."""
        self.closed = True
        self._news.set()

    async def wait(self) -> None:
        """Return once something is there, or it is closed."""
        while not self._diode and not self.closed:
            await self._hear()

    async def linger(self) -> None:
        """Return once what is there is enough to be sent at once, or half of what there is room for, or time is up."""
        if not self._together.linger_s or not self._diode:
            return
        with trio.move_on_after(self._together.linger_s):
            while not self._is_enough() and not self.closed:
                await self._hear()

    def move_into(self, hand: Hand) -> None:
        """Move the oldest into an empty hand, as many as are sent at once; there must be some."""
        parcels = self._diode.take(self._together.most_bytes)
        batch = parcels[0].batch if len(parcels) == 1 else b"".join([parcel.batch for parcel in parcels])
        hand.take(batch, sum(parcel.envelopes for parcel in parcels))

    def clear(self) -> None:
        """Let go of all that waits."""
        self._diode.take(self._diode.held_bytes)

    def _is_enough(self) -> bool:
        held, held_bytes = self._diode.held, self._diode.held_bytes
        return held_bytes >= min(self._together.most_bytes, self._crowd[1]) or held >= self._crowd[0]

    async def _hear(self) -> None:
        self._news = trio.Event()
        await self._news.wait()
