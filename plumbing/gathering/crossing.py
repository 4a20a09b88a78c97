"""From the island to trio: a bounded row of items, and one wake-up for however many of them wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import trio

T = TypeVar("T")


class Shore(Protocol):
    """The ways over: `plumbing.island.Island` has them."""

    def later(self, delay_s: float, function: Callable[[], object], /) -> None:
        """From the island: run a function there after a while."""

    def post(self, function: Callable[[], object], /) -> None:
        """Run a function on the island soon."""

    def to_trio(self, function: Callable[[], object], /) -> None:
        """Run a function on the trio thread soon."""


class Here:
    """Both shores in trio: for what needs no crossing, but a place to wait."""

    def post(self, function: Callable[[], object], /) -> None:
        """Run it now."""
        function()

    to_trio = post

    def later(self, _: float, function: Callable[[], object], /) -> None:
        """Run it now: where no thread need be woken there is nothing to save."""
        function()


class Crossing(Generic[T]):
    """Holds up to `capacity` items, put on the island and taken by one trio task.

    That task is woken `linger_s` after the first of them was put, or as soon as `crowd` of them wait: being woken costs
    more than an item does.
    `new_event` makes what whoever puts them waits for: one of trio's if that is not on the island, but `Here`.
    """

    def __init__(
        self,
        island: Shore,
        capacity: int,
        *,
        linger_s: float = 0.0,
        crowd: int = 8,
        new_event: Callable[[], asyncio.Event | trio.Event] = asyncio.Event,
    ) -> None:
        self._island = island
        self._capacity = capacity
        self._linger_s = linger_s
        self._crowd = crowd
        self._items: deque[T] = deque()
        self._called = False
        self._arrived = trio.Event()
        self._new_event = new_event
        self._room = new_event()
        self._room_wanted = False

    async def room(self) -> None:
        """On the island: wait until there is room for one more item."""
        while len(self._items) >= self._capacity:
            if not self._room_wanted:  # or else whoever waits already shares what there is to wait for
                self._room = self._new_event()
                self._room_wanted = True
            room = self._room
            if len(self._items) >= self._capacity:  # still: nobody took any before seeing that room is wanted
                await room.wait()

    def put(self, item: T) -> None:
        """On the island: put an item in; whoever waits on the other side wakes up, now or soon."""
        self._items.append(item)
        if self._called:
            if self._linger_s and len(self._items) == self._crowd:
                self._call()
            return
        self._called = True
        if self._linger_s:
            self._island.later(self._linger_s, self._call)
        else:
            self._call()

    def _call(self) -> None:
        self._called = bool(self._items)  # or else somebody woke up by himself, and took them
        if self._called:
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
            room = self._room  # the one that is waited for, as long as room is wanted
            self._room_wanted = False
            self._island.post(room.set)
        return item
