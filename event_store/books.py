"""The books of an event store: what came, and what of it is on disk. In envelopes, of which one may be many events."""

from __future__ import annotations

from event_store.writer import WriterCounts
from plumbing.ledger import SINK, Account


def account(received: int, written: WriterCounts) -> Account:
    """Show the books of the store; what is on disk was delivered, what is held is kept by the Dopplers, too."""
    held = received - written.stored - written.unfit
    return Account(
        account="store",
        kind=SINK,
        received=received,
        delivered=written.stored,
        dropped={"unfit": written.unfit} if written.unfit else {},
        held=held,
        unconfirmed=held,
    )
