"""What a reverse log proxy says of itself has the original's names, origin and tags (loggregator.md 1.9)."""

import random
from pathlib import Path

from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from plumbing.egress_client import Dopplers
from plumbing.ledger import Account
from plumbing.tls import TlsFiles
from reverse_log_proxy.self_metrics import make_self_metrics


def test_the_metrics_are_those_of_the_original() -> None:
    books = Account(account="all", kind="hop", received=8, delivered=5, dropped={"unread": 1}, held=2, returned=2)
    dopplers = Dopplers([], TlsFiles.named(Path("nowhere"), "none"), random.Random(1))

    parcel = make_self_metrics(lambda: books, lambda: 3, lambda: 4, dopplers).batch(7)

    sent = EnvelopeBatch.FromString(parcel.batch).batch
    totals = {each.counter.name: each.counter.total for each in sent if each.HasField("counter")}
    assert totals == {
        "ingress": 10,
        "egress": 5,
        "dropped": 1,
        "rejected_streams": 4,
        "log_router_connects": 0,
        "log_router_disconnects": 0,
    }
    assert [each.gauge.metrics["subscriptions"].value for each in sent if each.HasField("gauge")] == [3]
    assert {(each.source_id, each.tags["origin"]) for each in sent} == {("reverse_log_proxy", "loggregator.rlp")}
