"""Every setting of a reverse log proxy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from plumbing.auth import AuthSettings
from plumbing.config import ListenAddress, PeerAddress, Settings
from reverse_log_proxy.gateway.config import GatewaySettings


class Config(Settings, table="reverse_log_proxy"):
    """Settings of one reverse log proxy: TOML table `[reverse_log_proxy]`, environment `REVERSE_LOG_PROXY_*`."""

    name: str = "reverse_log_proxy"
    """What this reverse log proxy is called in the ledger and the logs."""

    listen: ListenAddress = "127.0.0.1:8090"
    """Where gRPC egress is served to subscribers."""

    doppler_addresses: list[PeerAddress] = ["127.0.0.1:8082"]
    """The Dopplers, as `host:port`; every address behind a name is used."""

    agent_address: str = ""
    """The agent that this component's own metrics are sent through; empty means that they are not sent."""

    self_metrics_interval_s: PositiveFloat = 60.0
    """How often those metrics are sent."""

    max_egress_streams: PositiveInt = 500
    """Streams open at once; one more is refused with RESOURCE_EXHAUSTED."""

    max_connections: Annotated[int, Field(gt=0, le=1_000_000)] = 500
    """Connections of subscribers open at once; one more is closed."""

    gateway: GatewaySettings = GatewaySettings()
    """Server-sent events over HTTPS, for clients that show a token."""

    auth: AuthSettings = AuthSettings()
    """Who decides who may read from the gateway."""
