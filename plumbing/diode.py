"""A bounded buffer whose writer never waits: when full, the oldest go, and are counted.

Hot path: `benchmarks/pipeline.py` runs every envelope through two of these.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple
from weakref import WeakSet


class Parcel(NamedTuple):
    """A serialised `EnvelopeBatch`, how many envelopes it holds, and who wants to know that it left our hands."""

    batch: bytes
    envelopes: int
    settled: Callable[[], None] | None = None


class Diode:
    """Holds parcels up to `capacity` envelopes and `capacity_bytes` bytes; drops the oldest beyond that.

    The one exception to the bound: a single parcel larger than the diode is held alone. Every envelope put is
    taken, dropped or held: `put_total == taken_total + dropped_total + held`.
    """

    __slots__ = (
        "__weakref__",
        "_parcels",
        "capacity",
        "capacity_bytes",
        "dropped_total",
        "held",
        "held_bytes",
        "put_total",
        "taken_total",
    )

    def __init__(self, capacity: int, capacity_bytes: int) -> None:
        self.capacity = capacity
        self.capacity_bytes = capacity_bytes
        self._parcels: deque[Parcel] = deque()
        self.held = 0
        self.held_bytes = 0
        self.put_total = 0
        self.taken_total = 0
        self.dropped_total = 0

    def __bool__(self) -> bool:
        return bool(self._parcels)

    def put(self, parcel: Parcel) -> None:
        """Append `parcel`, dropping the oldest ones where there is no room for it."""
        self._parcels.append(parcel)
        self.put_total += parcel.envelopes
        self.held += parcel.envelopes
        self.held_bytes += len(parcel.batch)
        if self.held > self.capacity or self.held_bytes > self.capacity_bytes:
            self._make_room()

    def take(self, max_bytes: int) -> list[Parcel]:
        """Remove the oldest parcels, as many as fit into `max_bytes`; at least one if any is held."""
        parcels = self._parcels
        if self.held_bytes <= max_bytes:
            taken = list(parcels)
            parcels.clear()
        else:
            taken = [parcels.popleft()]
            size = len(taken[0].batch)
            while parcels and (size := size + len(parcels[0].batch)) <= max_bytes:
                taken.append(parcels.popleft())
        self._removed(taken)
        return taken

    def give_back(self, parcels: Iterable[Parcel]) -> None:
        """Put parcels that were taken and not delivered in front again, in their order; the bound still holds."""
        returned = list(parcels)
        count = sum(parcel.envelopes for parcel in returned)
        self._parcels.extendleft(reversed(returned))
        self.taken_total -= count
        self.held += count
        self.held_bytes += sum(len(parcel.batch) for parcel in returned)
        self._make_room()

    def clear(self) -> int:
        """Drop everything held and say how many envelopes that was."""
        count = self.held
        settle(self._parcels)
        self._parcels.clear()
        self.held = self.held_bytes = 0
        self.dropped_total += count
        return count

    def _removed(self, taken: list[Parcel]) -> None:
        count = size = 0
        for parcel in taken:
            count += parcel.envelopes
            size += len(parcel.batch)
        self.held -= count
        self.held_bytes -= size
        self.taken_total += count

    def shrink(self, max_bytes: int) -> None:
        """Drop the oldest until no more than `max_bytes` are held."""
        while self.held_bytes > max_bytes:
            self._drop_oldest()

    def _make_room(self) -> None:
        while (self.held > self.capacity or self.held_bytes > self.capacity_bytes) and len(self._parcels) > 1:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self._parcels.popleft()
        self.held -= oldest.envelopes
        self.held_bytes -= len(oldest.batch)
        self.dropped_total += oldest.envelopes
        settle([oldest])


class SharedDiode(Diode):
    """A diode whose readers, tasks of one asyncio loop, take turns: who has waited longest is woken first.

    Everything happens on that loop's thread, so there is no lock and the counts are exact.
    """

    __slots__ = ("_closed", "_waiting")

    def __init__(self, capacity: int, capacity_bytes: int) -> None:
        super().__init__(capacity, capacity_bytes)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def put(self, parcel: Parcel) -> None:
        """Append `parcel` and wake the reader that has waited longest."""
        Diode.put(self, parcel)
        if self._waiting:
            self.wake()

    def give_back(self, parcels: Iterable[Parcel]) -> None:
        """Return undelivered parcels to the front and wake a reader for them."""
        Diode.give_back(self, parcels)
        if self._parcels:
            self.wake()

    async def next(self, max_bytes: int) -> list[Parcel]:
        """Wait for parcels and take up to `max_bytes` of them; an empty list means closed and drained."""
        while not self._parcels:
            if self._closed:
                return []
            await self._turn()
        taken = self.take(max_bytes)
        if self._parcels:
            self.wake()  # what is left is the next one's: we may not be back for long
        return taken

    def close(self) -> None:
        """Let readers drain what is held; after that they see the end."""
        self._closed = True
        while self._waiting:
            self.wake()

    def wake(self) -> None:
        """Give the turn to the reader that has waited longest, if any waits."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _turn(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):  # a writer may have passed it over already
                    self._waiting.remove(waiter)
            elif self._parcels:
                self.wake()  # the turn was ours already: pass it on
            raise


class DiodePool:
    """Makes diodes that have a bound together, besides each its own: the fullest pay when it is reached."""

    def __init__(self, capacity: int, capacity_bytes: int, total_bytes: int) -> None:
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._total_bytes = total_bytes
        self._diodes: WeakSet[SharedDiode] = WeakSet()

    def make(self) -> SharedDiode:
        """Make one more."""
        diode = SharedDiode(self._capacity, self._capacity_bytes)
        self._diodes.add(diode)
        return diode

    def level(self) -> None:
        """Make the fullest drop their oldest until all together hold no more than `total_bytes`; call it now and then.

        Bytes that several hold count for each, though they are in memory once.
        """
        level = level_of([diode.held_bytes for diode in self._diodes], self._total_bytes)
        for diode in self._diodes:
            diode.shrink(level)


def level_of(sizes: Iterable[int], total: int) -> int:
    """Say what the largest sizes have to be cut to, so that the sum is `total` at most; the largest, if it is now."""
    largest_first = sorted(sizes, reverse=True)
    excess = sum(largest_first) - total
    level = largest_first[0] if largest_first else 0
    for count, next_size in enumerate([*largest_first[1:], 0], start=1):
        if excess <= 0:
            break
        step = min(level - next_size, -(-excess // count))
        level -= step
        excess -= step * count
    return level


def settle(parcels: Iterable[Parcel]) -> None:
    """Tell whoever asked that these parcels have left our hands."""
    for parcel in parcels:
        if parcel.settled is not None:
            parcel.settled()
