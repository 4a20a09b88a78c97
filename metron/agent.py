"""What an agent does to every envelope: tag it, hold it, count it. No I/O, no clock.

Hot path: `benchmarks/pipeline.py`, row "metron".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from envelope import kernel
from envelope.kinds import Kind
from envelope.pieces import pieces
from envelope.tags import TagRewriter
from plumbing.diode import Parcel, SharedDiode
from plumbing.grpc_server import MAX_MESSAGE_BYTES
from plumbing.ingress_client import MESSAGE_BYTES, LinkCounts
from plumbing.ingress_server import IngressCounts
from plumbing.ledger import Account


class Agent:
    """Everything between the doors of an agent and its links to the Dopplers. Lives on the island."""

    def __init__(self, tags: Mapping[str, str], diode: SharedDiode, *, logs_disabled: bool = False) -> None:
        self.diode = diode
        self.unwanted_logs = 0
        self.doors = IngressCounts()
        self.from_sources = 0
        self.from_datagrams = 0
        self.malformed_in_datagrams = 0
        self.udp_overflow = 0
        self.too_large = 0
        self.links: list[LinkCounts] = []
        self._ended = LinkCounts("")
        self._rewriter = TagRewriter(tags)
        self._logs_disabled = logs_disabled

    def accept(self, batch: bytes, count: int, kinds: int) -> None:
        """Take an admitted batch from the gRPC door."""
        if self._logs_disabled and kinds & Kind.LOG:
            batch, wanted = kernel.select(batch, Kind.ALL & ~Kind.LOG)
            self.unwanted_logs += count - wanted
            count = wanted
        if count:
            self._put(batch, count, None)

    def accept_from_source(self, batch: bytes, count: int, settled: Callable[[], None]) -> None:
        """Take a batch from a source of our own: a file, standard input, host metrics."""
        self.from_sources += count
        self._put(batch, count, settled)

    def accept_from_datagrams(self, batch: bytes, count: int, malformed: int, overflowed: int) -> None:
        """Take a batch from a UDP door, and count what was no envelope there or never got as far as the door.

        A datagram that the kernel dropped is one envelope in the books, though one of statsd may have held more.
        """
        self.from_datagrams += count + malformed + overflowed
        self.malformed_in_datagrams += malformed
        self.udp_overflow += overflowed
        if count:
            self._put(batch, count, None)

    @contextmanager
    def link_to(self, peer: str) -> Iterator[LinkCounts]:
        """Keep the counts of a link for the time of the block, and add them to those of the links before."""
        link = LinkCounts(peer)
        self.links.append(link)
        try:
            yield link
        finally:
            self.links.remove(link)
            self._ended.delivered += link.delivered
            self._ended.outside += link.outside
            self._ended.returned += link.returned

    def account(self) -> Account:
        """Show the books."""
        return Account(
            account="agent",
            kind="hop",
            received=self.doors.received + self.from_sources + self.from_datagrams,
            delivered=self._ended.delivered + sum(link.delivered for link in self.links),
            dropped={
                "malformed": self.doors.malformed + self.malformed_in_datagrams,
                "overflow": self.diode.dropped_total,
                "too_large": self.too_large,
                "udp_overflow": self.udp_overflow,
            },
            skipped=self.unwanted_logs,
            held=self.diode.held,
            in_flight=sum(link.window.in_flight for link in self.links),
            returned=self.returned,
        )

    def link_accounts(self) -> list[Account]:
        """Show what each Doppler was given."""
        named = [(f"link {link.address}", link) for link in self.links]
        if self._ended.delivered or self._ended.returned:
            named.append(("links that ended", self._ended))
        return [
            Account(
                account=name,
                kind="link",
                received=link.delivered + link.window.in_flight,
                delivered=link.delivered,
                in_flight=link.window.in_flight,
                returned=link.returned,
                outside=link.outside,
            )
            for name, link in named
        ]

    @property
    def unsettled(self) -> int:
        """Envelopes that are held or on their way."""
        return self.diode.held + sum(link.window.in_flight for link in self.links)

    @property
    def returned(self) -> int:
        """Envelopes taken back from broken streams and sent again."""
        return self._ended.returned + sum(link.returned for link in self.links)

    @property
    def origin_mappings(self) -> int:
        """Envelopes that came without a source_id and were given their origin's name (loggregator.md 1.1 a)."""
        return self._rewriter.origin_mappings

    def _put(self, batch: bytes, count: int, settled: Callable[[], None] | None) -> None:
        tagged = kernel.tag(batch, self._rewriter.defaults, self._rewriter.rewrite)
        if len(tagged) <= MAX_MESSAGE_BYTES:
            self.diode.put(Parcel(tagged, count, settled))
        else:
            self._put_in_pieces(tagged, settled)

    def _put_in_pieces(self, batch: bytes, settled: Callable[[], None] | None) -> None:
        """Cut up what no Doppler takes in one message; a single envelope that is too large is dropped."""
        parcels = [Parcel(piece, count) for piece, count in pieces(batch, MESSAGE_BYTES)]
        fitting = [parcel for parcel in parcels if len(parcel.batch) <= MAX_MESSAGE_BYTES]
        self.too_large += len(parcels) - len(fitting)
        if fitting:
            fitting[-1] = fitting[-1]._replace(settled=settled)
        elif settled is not None:
            settled()
        for parcel in fitting:
            self.diode.put(parcel)
