"""Values kept by name, for names that peers choose: so many and no more."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import Generic, TypeVar

from metron.sources.counts import DoorCounts

V = TypeVar("V")


class Remembered(Generic[V]):
    """The last value of each of `max_names` names; beyond that, the name that was set longest ago is forgotten.

    A name is kept as 32 bytes, however long it is.
    """

    def __init__(self, max_names: int, unknown: V, counts: DoorCounts) -> None:
        self._max_names = max_names
        self._unknown = unknown
        self._counts = counts
        self._values: OrderedDict[bytes, V] = OrderedDict()

    def get(self, name: bytes) -> V:
        """Return the value of a name; `unknown` when there is none."""
        return self._values.get(_digest(name), self._unknown)

    def set(self, name: bytes, value: V) -> None:
        """Remember the value of a name, which is now the last to be forgotten."""
        digest = _digest(name)
        self._values[digest] = value
        self._values.move_to_end(digest)
        if len(self._values) > self._max_names:
            self._values.popitem(last=False)
            self._counts.names_forgotten += 1


def _digest(name: bytes) -> bytes:
    return sha256(name).digest()
