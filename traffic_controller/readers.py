"""All the clients of one traffic controller, and the books of those that have left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from plumbing.ledger import Account, total
from plumbing.readers import Roster
from traffic_controller.doors import Endpoint, Stream
from traffic_controller.reader import Reader


class Readers:
    """Who reads now, and what was delivered to whom."""

    def __init__(self, was_slow: Callable[[Stream], None] = lambda _: None) -> None:
        """Begin with nobody; `was_slow` is told of each client that is cut off."""
        self.slow_consumers = 0
        self.refused: Counter[int] = Counter()
        self._was_slow = was_slow
        self._rosters: dict[str, Roster[Reader]] = {
            Endpoint.FIREHOSE: Roster("reader"),
            Endpoint.STREAM: Roster("tail"),
        }
        self._delivered_before: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._rosters.values()))

    @contextmanager
    def enter(self, reader: Reader) -> Iterator[None]:
        """Count `reader` among the open ones for the time of the block."""
        endpoint = reader.stream.endpoint
        self._rosters[endpoint].enter(reader)
        try:
            yield
        finally:
            self._rosters[endpoint].leave(reader)
            self._delivered_before[endpoint] += reader.counts.delivered
            if reader.was_slow:
                self.slow_consumers += 1
                self._was_slow(reader.stream)

    def open_at(self, endpoint: str) -> int:
        """Say how many read from `endpoint` now."""
        return len(self._rosters[endpoint])

    def delivered_at(self, endpoint: str) -> int:
        """Say how many envelopes clients of `endpoint` have got."""
        return self._delivered_before[endpoint] + sum(each.counts.delivered for each in self._rosters[endpoint])

    def accounts(self) -> list[Account]:
        """Show the books of the open readers and of the last that left."""
        return [account for roster in self._rosters.values() for account in roster.accounts()]

    def total(self) -> Account:
        """Add all of them up."""
        return total("all", "hop", self.accounts())
