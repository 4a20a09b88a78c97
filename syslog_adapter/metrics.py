"""Every metric a syslog adapter exposes."""

from __future__ import annotations

from plumbing.egress_client import Dopplers
from plumbing.metrics import Metrics
from syslog_adapter.bindings.keeper import Keeper
from syslog_adapter.intake import Intake
from syslog_adapter.pool import Pool

_ROOM = "syslog_adapter"


def expose(metrics: Metrics, intake: Intake, keeper: Keeper, pool: Pool, dopplers: Dopplers) -> None:
    """Register them."""
    counts = intake.counts
    metrics.counter(f"{_ROOM}_envelopes_received_total", "Envelopes taken in.", lambda: counts.fed)
    metrics.counter(f"{_ROOM}_envelopes_malformed_total", "What was no envelope.", lambda: counts.fed_malformed)
    metrics.counter(f"{_ROOM}_envelopes_undrained_total", "Envelopes that no drain asks for.", lambda: counts.undrained)
    metrics.counter(f"{_ROOM}_doppler_connects_total", "Streams opened at Dopplers.", lambda: dopplers.connects)
    metrics.counter(f"{_ROOM}_doppler_disconnects_total", "Streams at Dopplers ended.", lambda: dopplers.disconnects)
    _expose_drains(metrics, pool)
    _expose_bindings(metrics, keeper)


def _expose_drains(metrics: Metrics, pool: Pool) -> None:
    metrics.counter(
        f"{_ROOM}_envelopes_drained_total", "Copies of envelopes given to drains.", lambda: pool.account().received
    )
    metrics.counter(f"{_ROOM}_envelopes_sent_total", "Of them, those delivered.", lambda: pool.account().delivered)
    metrics.counter(
        f"{_ROOM}_envelopes_skipped_total",
        "Of them, those that their drain does not ask for, or that have no form as a message.",
        lambda: pool.account().skipped,
    )
    metrics.counter(
        f"{_ROOM}_envelopes_dropped_total",
        "Of them, those lost, by reason.",
        lambda: {(reason,): float(count) for reason, count in pool.account().dropped.items()},
        labels=("reason",),
    )
    metrics.gauge(
        f"{_ROOM}_envelopes_held",
        "Of them, those that wait or are being sent.",
        lambda: sum(drain.held for drain in pool.everyone),
    )
    metrics.gauge(
        f"{_ROOM}_envelopes_on_disk",
        "Of those held, the ones in spools.",
        lambda: sum(drain.on_disk for drain in pool.everyone),
    )
    metrics.counter(f"{_ROOM}_retries_total", "Tries of drains after a first one.", lambda: pool.retried)
    metrics.gauge(f"{_ROOM}_drains", "Drains there are, aggregate ones included.", lambda: len(pool.drains))
    metrics.gauge(
        f"{_ROOM}_aggregate_drains",
        "Drains of everybody's envelopes.",
        lambda: sum(binding.is_aggregate for binding in pool.drains),
    )
    metrics.gauge(f"{_ROOM}_active_drains", "Drains that are sending or connected.", pool.active)
    metrics.gauge(
        f"{_ROOM}_failing_drains",
        "Drains that cannot be reached.",
        lambda: sum(drain.state == "retrying" for drain in pool.everyone),
    )
    metrics.gauge(f"{_ROOM}_longest_lag_s", "How long the oldest envelope of all has waited.", pool.longest_lag_s)


def _expose_bindings(metrics: Metrics, keeper: Keeper) -> None:
    counts = keeper.counts
    metrics.counter(f"{_ROOM}_binding_refreshes_total", "Times that bindings were asked for.", lambda: counts.refreshes)
    metrics.counter(f"{_ROOM}_binding_failures_total", "Times that they could not be read.", lambda: counts.failures)
    metrics.gauge(f"{_ROOM}_bindings", "Bindings that all sources know, as of the last look.", lambda: counts.listed)
    metrics.gauge(f"{_ROOM}_bound_sources", "Sources that have drains.", lambda: len(keeper.table.by_source))
    metrics.gauge(f"{_ROOM}_invalid_drains", "Bindings that can be no drain.", lambda: counts.invalid)
    metrics.gauge(f"{_ROOM}_blacklisted_drains", "Those whose address is forbidden.", lambda: counts.blacklisted)
    metrics.gauge(f"{_ROOM}_ignored_drains", "Bindings beyond what a source may have.", lambda: keeper.table.ignored)
