"""Who reads now, and the books of those that have left: no envelope is forgotten when its reader goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from plumbing.ledger import Account, total

_REMEMBERED = 100


class Booked(Protocol):
    """A reader, whatever it reads by."""

    def account(self) -> Account:
        """Show its books."""


R = TypeVar("R", bound=Booked)


class Roster(Generic[R]):
    """The readers that are there, and the accounts of the last hundred that left; older ones are added up into one."""

    def __init__(self, kind: str = "reader") -> None:
        """Gather readers whose accounts are of one kind."""
        self._kind = kind
        self._there: set[R] = set()
        self._left: list[Account] = []

    def __len__(self) -> int:
        return len(self._there)

    def __iter__(self) -> Iterator[R]:
        return iter(list(self._there))  # a copy: metrics are read from another thread

    def enter(self, reader: R) -> None:
        """Count a reader among those that are there."""
        self._there.add(reader)

    def leave(self, reader: R) -> None:
        """Take a reader off and remember its books, which are closed."""
        self._there.discard(reader)
        self._left.append(reader.account())
        if len(self._left) > _REMEMBERED:
            self._left[:2] = [total("left earlier", self._kind, self._left[:2])]

    def accounts(self) -> list[Account]:
        """Show the books of all."""
        return [reader.account() for reader in self] + self._left

    def total(self) -> Account:
        """Add them all up."""
        return total("all", "hop", self.accounts())
