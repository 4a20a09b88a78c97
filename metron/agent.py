"""What an agent does to every envelope: tag it, hold it, count it. No I/O, no clock.

Hot path: `benchmarks/pipeline.py`, row "metron".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from envelope import kernel
from envelope.tags import TagRewriter
from plumbing.diode import Parcel, SharedDiode
from plumbing.ingress_client import LinkCounts
from plumbing.ingress_server import IngressCounts
from plumbing.ledger import Account


class Agent:
    """Everything between the doors of an agent and its links to the Dopplers. Lives on the island."""

    def __init__(self, tags: Mapping[str, str], diode: SharedDiode) -> None:
        self.diode = diode
        self.doors = IngressCounts()
        self.from_sources = 0
        self.links: list[LinkCounts] = []
        self._rewriter = TagRewriter(tags)

    def accept(self, batch: bytes, count: int, kinds: int) -> None:  # noqa: ARG002 - the doors' common signature
        """Take an admitted batch from the gRPC door."""
        self._put(batch, count, None)

    def accept_from_source(self, batch: bytes, count: int, settled: Callable[[], None]) -> None:
        """Take a batch from a source of our own: a file, standard input, host metrics."""
        self.from_sources += count
        self._put(batch, count, settled)

    def account(self) -> Account:
        """Show the books."""
        return Account(
            account="agent",
            kind="hop",
            received=self.doors.received + self.from_sources,
            delivered=sum(link.delivered for link in self.links),
            dropped={"malformed": self.doors.malformed, "overflow": self.diode.dropped_total},
            held=self.diode.held,
            in_flight=sum(link.window.in_flight for link in self.links),
            returned=sum(link.returned for link in self.links),
        )

    def link_accounts(self) -> list[Account]:
        """Show what each Doppler was given."""
        return [
            Account(
                account=f"link {link.address}",
                kind="link",
                received=link.delivered + link.window.in_flight,
                delivered=link.delivered,
                in_flight=link.window.in_flight,
                returned=link.returned,
            )
            for link in self.links
        ]

    @property
    def unsettled(self) -> int:
        """Envelopes that are held or on their way."""
        return self.diode.held + sum(link.window.in_flight for link in self.links)

    @property
    def origin_mappings(self) -> int:
        """Envelopes that came without a source_id and were given their origin's name (loggregator.md 1.1 a)."""
        return self._rewriter.origin_mappings

    def _put(self, batch: bytes, count: int, settled: Callable[[], None] | None) -> None:
        tagged = kernel.tag(batch, self._rewriter.defaults, self._rewriter.rewrite)
        self.diode.put(Parcel(tagged, count, settled))
