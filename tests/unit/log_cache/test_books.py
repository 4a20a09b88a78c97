import asyncio
from pathlib import Path

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache.books import accounts
from log_cache.cache import Cache
from log_cache.cluster import Cluster
from log_cache.intake import Intake
from log_cache.store import Store, StoreLimits
from plumbing.tls import TlsFiles

NOWHERE = TlsFiles.named(Path("nowhere"), "none")


def _batch(count: int) -> bytes:
    return EnvelopeBatch(batch=[Envelope(source_id=f"app-{n}", timestamp=n) for n in range(count)]).SerializeToString()


def test_what_came_in_is_held_expired_or_no_envelope() -> None:
    cache = Cache(Store(StoreLimits(per_source=1)), lambda: 0)
    intake = Intake(cache)
    asyncio.run(intake.take(_batch(3) + frame(b"\xff"), local_only=False))
    asyncio.run(intake.take(_batch(2), local_only=True))
    cache.store.settle()

    everything, fed, cached = accounts(intake, cache, None)

    assert all(account.balance == 0 for account in (everything, fed, cached))
    assert (everything.received, everything.delivered, everything.skipped) == (6, 5, 1)
    assert (cached.received, cached.skipped, cached.held) == (5, 2, 3)
    assert fed.received == 0


def test_what_belongs_to_other_nodes_is_in_the_books_of_each() -> None:
    cluster = Cluster(["here:1", "there:1"], 0, NOWHERE)
    cache = Cache(Store(StoreLimits()), lambda: 0)
    intake = Intake(cache, cluster)
    asyncio.run(intake.take(_batch(20), local_only=False))

    everything, _, cached, peer = accounts(intake, cache, cluster)

    assert all(account.balance == 0 for account in (everything, cached, peer))
    assert everything.held == peer.held == 20 - cached.held > 0
    assert peer.account == "peer there:1"
