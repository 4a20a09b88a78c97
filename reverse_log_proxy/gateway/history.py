"""The numbered events of one session: what has to be written, and what was and may be asked for again. No I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice


@dataclass(slots=True, eq=False)
class Event:
    """One batch with its number."""

    number: int
    batch: bytes
    json: bytes | None
    """Ready to be written; forgotten once it was."""


class History:
    """Events in order: the written ones, at most `max_bytes` of batches, then those that still have to be written."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._written = 0  # of the events held, how many were written
        self._next_number = 1

    def add(self, batch: bytes, json: bytes) -> Event:
        """Give a batch the next number, and put it behind those that have to be written."""
        event = Event(self._next_number, batch, json)
        self._next_number += 1
        self._events.append(event)
        self._bytes += len(batch)
        return event

    @property
    def newest(self) -> int:
        """The number given last; 0 before the first."""
        return self._next_number - 1

    def next(self) -> Event | None:
        """Show the first that has to be written."""
        return self._events[self._written] if self._written < len(self._events) else None

    def written(self) -> None:
        """The event that `next` showed was written; the oldest written ones make room."""
        self._written += 1
        while self._bytes > self._max_bytes and self._written:
            self._forget_first()

    def rewind(self, number: int) -> list[Event] | None:
        """Go back to right behind event `number`, and forget those up to it, which the client has: returns them.

        None when what came after it is not held any more, or when there never was such an event.
        """
        first = self._next_number - len(self._events)
        if not first - 1 <= number < self._next_number:
            return None
        had = list(islice(self._events, number - first + 1))
        for _ in had:
            self._forget_first()
        self._written = 0
        return had

    def _forget_first(self) -> None:
        self._bytes -= len(self._events.popleft().batch)
        self._written -= 1
