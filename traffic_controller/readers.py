"""All the clients of one traffic controller, and the books of those that have left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from plumbing.ledger import Account, total
from traffic_controller.reader import Reader

_REMEMBERED = 100


class Readers:
    """Who reads now, and what was delivered to whom."""

    def __init__(self) -> None:
        self.slow_consumers = 0
        self.refused: Counter[int] = Counter()
        self._open: set[Reader] = set()
        self._closed: list[Account] = []

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def enter(self, reader: Reader) -> Iterator[None]:
        """Count `reader` among the open ones for the time of the block."""
        self._open.add(reader)
        try:
            yield
        finally:
            self._open.discard(reader)
            self.slow_consumers += reader.was_slow
            self._remember(reader.counts.account(reader.stream))

    def open_at(self, endpoint: str) -> int:
        """Say how many read from `endpoint` now."""
        return sum(reader.stream.endpoint == endpoint for reader in list(self._open))

    def accounts(self) -> list[Account]:
        """Show the books of the open readers and of the last that left."""
        return [reader.counts.account(reader.stream) for reader in list(self._open)] + self._closed

    def total(self) -> Account:
        """Add all of them up."""
        return total("all", "hop", self.accounts())

    def _remember(self, account: Account) -> None:
        self._closed.append(account)
        if len(self._closed) > _REMEMBERED:
            self._closed[:2] = [total("left earlier", "reader", self._closed[:2])]
