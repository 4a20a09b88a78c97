"""What a doppler says of itself in everyone's streams (loggregator.md 1.8)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from doppler.exchange import Exchange
from doppler.notice import ORIGIN
from plumbing.ingress_server import IngressCounts
from plumbing.self_metrics import SelfMetrics


def make_self_metrics(
    source_id: str, tags: Mapping[str, str], counts: IngressCounts, exchange: Exchange
) -> SelfMetrics:
    """Name the original's five metrics.

    Three of them count in our way: `ingress` counts envelopes as they came, where the original counts what they are
    in v1; what is dropped at ingress is malformed, since nothing overflows there; and what is dropped at egress
    overflowed: what nobody came back for is no reader's loss.
    """
    metrics = SelfMetrics(ORIGIN, source_id, tags)
    metrics.counter("ingress", lambda: exchange.taken_in)
    metrics.counter("egress", lambda: sum(account.delivered for account in exchange.accounts()))
    metrics.counter("dropped", lambda: counts.malformed, direction="ingress")
    metrics.counter("dropped", partial(_overflowed, exchange), direction="egress")
    metrics.gauge("subscriptions", "subscriptions", lambda: exchange.readers)
    return metrics


def _overflowed(exchange: Exchange) -> int:
    return sum(account.dropped["overflow"] for account in exchange.accounts())
