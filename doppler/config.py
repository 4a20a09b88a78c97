"""Every setting of a doppler."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveInt

from plumbing.config import Settings


class Config(Settings, table="doppler"):
    """Settings of one doppler: TOML table `[doppler]`, environment `DOPPLER_*`."""

    name: str = "doppler"
    """What this doppler is called in the ledger and the logs."""

    listen: str = "127.0.0.1:8082"
    """Where gRPC is served: ingress for agents, egress for subscribers."""

    diode_capacity: PositiveInt = 250_000
    """Envelopes held for one subscription before the oldest are dropped."""

    diode_bytes: PositiveInt = 64 << 20
    """Bytes held for one subscription before the oldest are dropped."""

    held_bytes: PositiveInt = 2 << 30
    """Bytes held for all subscriptions together, about; beyond that those that hold most lose their oldest."""

    linger_s: NonNegativeFloat = 30.0
    """How long a named subscription is kept for a reader that went away."""

    max_subscriptions: PositiveInt = 2_000
    """Subscriptions open at once, v1 and v2 together; one more is refused with RESOURCE_EXHAUSTED."""

    self_metrics_interval_s: NonNegativeFloat = 5.0
    """How often metrics of this doppler go out as envelopes, to whoever asked for such; 0 means never."""

    metric_source_id: str = "doppler"
    """The source_id of those envelopes."""

    tags: dict[str, str] = {}
    """Tags of those envelopes: deployment, job, index, ip ..."""
