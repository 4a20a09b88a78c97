"""Remember answers for a while, and ask once where many want the same answer at the same time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio

BRIEF_S = 1.0
"""How long whatever is no yes is held: enough to keep a flood of one bad token from its authority."""

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Answer(Generic[A]):
    """What was answered, and for how many seconds it is good; None for what is no yes."""

    value: A
    good_for_s: float | None = None


@dataclass(slots=True)
class _Flight(Generic[A]):
    """A question that is being asked; without an answer at its end, whoever asked was cancelled or broke."""

    over: anyio.Event = field(default_factory=anyio.Event)
    answer: Answer[A] | None = None


class Held(Generic[K, A]):
    """At most `capacity` values, each until its time; beyond that the one that was not looked at for longest goes."""

    def __init__(self, capacity: int, clock: Callable[[], float]) -> None:
        self._capacity = capacity
        self._clock = clock
        self._values: OrderedDict[K, tuple[A, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def put(self, key: K, value: A, good_for_s: float) -> None:
        """Hold a value from now on; one that is good for no time at all is not held."""
        self._values.pop(key, None)
        if good_for_s > 0:
            self._values[key] = value, self._clock() + good_for_s
            if len(self._values) > self._capacity:
                self._values.popitem(last=False)

    def get(self, key: K) -> A | None:
        """Return a value whose time has not come; None without one."""
        held = self._values.get(key)
        if held is None:
            return None
        value, until = held
        if self._clock() >= until:
            del self._values[key]
            return None
        self._values.move_to_end(key)
        return value


class Remembered(Generic[K, A]):
    """Answers by key. A yes is held for as long as it is good, anything else briefly, and in a place of its own.

    So strangers who show one bad token after the other push out no answer that somebody needs. Each place holds
    `capacity` answers at most. The values are not None.
    """

    def __init__(self, capacity: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._good: Held[K, A] = Held(capacity, clock)
        self._brief: Held[K, A] = Held(capacity, clock)
        self._flights: dict[K, _Flight[A]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[Answer[A]]]) -> tuple[A, bool]:
        """Return the answer, and whether nothing had to be asked for it; only one at a time asks for a key."""
        while True:
            value = self.held(key)
            if value is not None:
                return value, True
            flight = self._flights.get(key)
            if flight is None:
                return await self._ask(key, ask), False
            await flight.over.wait()
            if flight.answer is not None:
                return flight.answer.value, True

    def held(self, key: K) -> A | None:
        """Return what is held; None if that is nothing."""
        value = self._good.get(key)
        return self._brief.get(key) if value is None else value

    async def _ask(self, key: K, ask: Callable[[], Awaitable[Answer[A]]]) -> A:
        flight = self._flights[key] = _Flight()
        try:
            answer = flight.answer = await ask()
        finally:
            del self._flights[key]
            flight.over.set()
        if answer.good_for_s is None:
            self._brief.put(key, answer.value, BRIEF_S)
        else:
            self._good.put(key, answer.value, answer.good_for_s)
        return answer.value
