"""The books of one nozzle: what came from the Dopplers, and what became of it on the way into the sink."""

from __future__ import annotations

from nozzles.runner.delivery import DeliveryCounts
from plumbing.backlog import Backlog
from plumbing.gathering.gathering import Gathering
from plumbing.ledger import SINK, Account


def held(gathering: Gathering, backlog: Backlog) -> int:
    """Envelopes that wait: those that make a batch yet, those that the backlog has no room for, and its own."""
    return gathering.received - backlog.received + backlog.held


def unconfirmed(gathering: Gathering, backlog: Backlog) -> int:
    """Envelopes of these that are confirmed to nobody yet, and so are a Doppler's still."""
    return gathering.received - backlog.received + backlog.unsafe


def dropped(backlog: Backlog, delivery: DeliveryCounts) -> dict[str, int]:
    """Envelopes that did not get into the sink, by reason."""
    reasons = dict(delivery.refused)
    for reason, count in (("spool_full", backlog.dropped), ("corrupt", backlog.corrupt)):
        if count:
            reasons[reason] = reasons.get(reason, 0) + count
    return reasons


def account(sink: str, gathering: Gathering, backlog: Backlog, delivery: DeliveryCounts) -> Account:
    """Show the books of the sink; what was found in the spool at the start counts as received."""
    return Account(
        account=sink,
        kind=SINK,
        received=gathering.received + backlog.recovered,
        delivered=backlog.delivered,
        dropped=dropped(backlog, delivery),
        skipped=backlog.skipped,
        held=held(gathering, backlog),
        on_disk=backlog.on_disk,
        unconfirmed=unconfirmed(gathering, backlog),
    )
