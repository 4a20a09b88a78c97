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

    linger_s: NonNegativeFloat = 30.0
    """How long a named subscription is kept for a reader that went away."""

    max_subscriptions: PositiveInt = 2_000
    """Subscriptions open at once; one more is refused with RESOURCE_EXHAUSTED."""
