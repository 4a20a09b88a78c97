"""What a reverse log proxy says of itself, through an agent (loggregator.md 1.9)."""

from __future__ import annotations

from collections.abc import Callable

from plumbing.egress_client import Dopplers
from plumbing.ledger import Account
from plumbing.self_metrics import SelfMetrics

ORIGIN = "loggregator.rlp"
SOURCE_ID = "reverse_log_proxy"


def make_self_metrics(
    books: Callable[[], Account], subscribers: Callable[[], int], rejected: Callable[[], int], dopplers: Dopplers
) -> SelfMetrics:
    """Name the original's metrics; `books` are those of all subscribers together."""
    metrics = SelfMetrics(ORIGIN, SOURCE_ID)
    metrics.counter("ingress", lambda: books().received + books().returned, protocol="grpc")
    metrics.counter("egress", lambda: books().delivered)
    metrics.counter("dropped", lambda: books().dropped_total, direction="egress")
    metrics.counter("rejected_streams", rejected)
    metrics.gauge("subscriptions", "total", subscribers)
    metrics.counter("log_router_connects", lambda: dopplers.connects)
    metrics.counter("log_router_disconnects", lambda: dopplers.disconnects)
    return metrics
