"""From the island to trio: a bounded row of items, and one wake-up for however many of them wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import trio

T = TypeVar("T")


class Shore(Protocol):
    """The two ways over: `plumbing.island.Island` has them."""

    def post(self, function: Callable[[], object], /) -> None:
        """Run a function on the island soon."""

    def to_trio(self, function: Callable[[], object], /) -> None:
        """Run a function on the trio thread soon."""


class Crossing(Generic[T]):
    """Holds up to `capacity` items, put on the island and taken by one trio task."""

    def __init__(self, island: Shore, capacity: int) -> None:
        self._island = island
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._called = False
        self._arrived = trio.Event()
        self._room = asyncio.Event()
        self._room_wanted = False

    async def room(self) -> None:
        """On the island: wait until there is room for one more item."""
        while len(self._items) >= self._capacity:
            self._room.clear()
            self._room_wanted = True
            if len(self._items) >= self._capacity:  # still: nobody took any before seeing that room is wanted
                await self._room.wait()

    def put(self, item: T) -> None:
        """On the island: put an item in; whoever waits on the other side wakes up."""
        self._items.append(item)
        if not self._called:
            self._called = True
            self._island.to_trio(self._wake)

    def _wake(self) -> None:
        self._called = False
        self._arrived.set()

    async def wait(self) -> None:
        """In trio: return once there may be something to take."""
        await self._arrived.wait()
        self._arrived = trio.Event()

    def take(self) -> T | None:
        """In trio: take the oldest item; None when there is none."""
        if not self._items:
            return None
        item = self._items.popleft()
        if self._room_wanted:
            self._room_wanted = False
            self._island.post(self._room.set)
        return item
