"""The books of one node: what came in, where it went, what is held. Read on the island, between two steps of it."""

from __future__ import annotations

from log_cache.cache import Cache
from log_cache.cluster import Cluster
from log_cache.intake import Intake
from plumbing.ledger import Account, total


def accounts(intake: Intake, cache: Cache, cluster: Cluster | None) -> list[Account]:
    """Show them: all of it, the subscription, the cache, each peer.

    What expired is no loss: it was held as long as there was room. What is held goes when the process does.
    """
    counts, store = intake.counts, cache.store
    peers = cluster.accounts() if cluster else []
    forwarded = total("peers", "forward", peers)
    everything = Account(
        account="all",
        kind="hop",
        received=counts.fed + counts.sent,
        delivered=counts.stored + forwarded.delivered,
        dropped=forwarded.dropped,
        skipped=counts.fed_malformed + counts.sent_malformed,
        held=forwarded.held,
        in_flight=forwarded.in_flight,
    )
    held = Account(
        account="cache",
        kind="store",
        received=store.received,
        delivered=0,
        skipped=store.expired,
        held=store.held + store.waiting,
    )
    return [everything, intake.account(), held, *peers]
