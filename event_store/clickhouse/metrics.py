"""Every metric of shipping to ClickHouse."""

from __future__ import annotations

from event_store.clickhouse.shipper import Shipper
from plumbing.metrics import Metrics

_SHIPPED = "event_store_clickhouse"


def expose(metrics: Metrics, shipper: Shipper) -> None:
    """Register them; what is counted is counted since the store was first shipped there."""
    metrics.counter(f"{_SHIPPED}_events_total", "Events that ClickHouse has.", lambda: shipper.progress.events)
    metrics.counter(
        f"{_SHIPPED}_missing_total",
        "Places without an event to ship: it was kept no longer, or is damaged, or there never was one.",
        lambda: shipper.progress.missing,
    )
    metrics.gauge(
        f"{_SHIPPED}_trouble", "1 while nothing can be shipped, else 0.", lambda: float(bool(shipper.trouble))
    )
