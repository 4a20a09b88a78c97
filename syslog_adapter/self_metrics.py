"""What an adapter says of itself, through an agent: the original's names (loggregator.md 5.1, 5.2)."""

from __future__ import annotations

from plumbing.self_metrics import SelfMetrics
from syslog_adapter.bindings.keeper import Keeper
from syslog_adapter.intake import Intake
from syslog_adapter.pool import Pool

ORIGIN = "loggregator.syslog_agent"
SOURCE_ID = "syslog_adapter"


def make_self_metrics(intake: Intake, keeper: Keeper, pool: Pool) -> SelfMetrics:
    """Name the original's metrics; there is one of each for all drains, not one for each drain."""
    metrics = SelfMetrics(ORIGIN, SOURCE_ID)
    metrics.counter("ingress", lambda: intake.counts.fed, scope="agent")
    metrics.counter("ingress", lambda: pool.account().received, scope="all_drains")
    metrics.counter("egress", lambda: pool.account().delivered, direction="egress")
    metrics.counter("dropped", lambda: pool.account().dropped_total, direction="egress")
    metrics.gauge("drains", "count", lambda: len(pool.drains))
    metrics.gauge("aggregate_drains", "count", lambda: len(keeper.table.aggregates))
    metrics.gauge("active_drains", "count", pool.active)
    metrics.counter("binding_refresh_count", lambda: keeper.counts.refreshes)
    metrics.counter("binding_refresh_error", lambda: keeper.counts.failures)
    metrics.gauge("cached_bindings", "count", lambda: len(keeper.table.by_source))
    metrics.gauge("invalid_drains", "total", lambda: keeper.counts.invalid)
    metrics.gauge("blacklisted_drains", "total", lambda: keeper.counts.blacklisted)
    return metrics
