"""Every setting of a traffic controller."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt

from plumbing.auth import AuthSettings
from plumbing.config import PeerAddress, Settings


class Config(Settings, table="traffic_controller"):
    """Settings of one traffic controller: TOML table `[traffic_controller]`, environment `TRAFFIC_CONTROLLER_*`."""

    name: str = "traffic_controller"
    """What this traffic controller is called in the ledger and the logs."""

    listen: str = "127.0.0.1:8081"
    """Where WebSockets and HTTP are served, over TLS; clients show a token, not a certificate."""

    doppler_addresses: list[PeerAddress] = ["127.0.0.1:8082"]
    """The Dopplers, as `host:port`; every address behind a name is used."""

    auth: AuthSettings = AuthSettings()
    """Who decides who may read what."""

    system_domain: str = Field("", pattern=r"^[A-Za-z0-9.-]*$", max_length=253)
    """The domain of the installation: a cookie that is asked for is for `doppler.` before it, or for one host only."""

    security_event_log: Path | None = None
    """File that gets a line of CEF for each request; made with mode 0600, and anew when it was moved away."""

    log_cache_url: str = Field("", pattern=r"^(https?://[^/?#\s]+/?)?$")
    """The REST interface of a log cache, as `https://host:port`; without one there are no recent logs and metrics."""

    log_cache_ca: Path | None = None
    """PEM file of those who may sign the log cache's certificate; none means `tls_ca`."""

    log_cache_timeout_s: PositiveFloat = 5.0
    """How long a log cache may take to answer."""

    log_cache_max_bytes: PositiveInt = 8 << 20
    """The largest answer that is taken from a log cache; a larger one is asked for again, half as much."""

    agent_address: str = ""
    """The agent that this component's own metrics, and events of slow consumers, are sent through; empty means none."""

    self_metrics_interval_s: PositiveFloat = 60.0
    """How often those metrics are sent."""

    slow_consumer_s: PositiveFloat = 5.0
    """How long a client may take no data before it is cut off (loggregator.md 3.1)."""

    goodbye_s: PositiveFloat = 6.0
    """How long a cut-off client may take to read what it was sent and the close frame."""

    pong_timeout_s: PositiveFloat = 30.0
    """How long a client may take to answer a ping."""

    ping_interval_s: PositiveFloat = 15.0
    """Time between an answered ping and the next one."""

    diode_capacity: PositiveInt = 50_000
    """Envelopes held for one slow app stream before the oldest are dropped."""

    diode_bytes: PositiveInt = 8 << 20
    """Bytes held for one slow app stream before the oldest are dropped."""

    held_bytes: PositiveInt = 512 << 20
    """Bytes held for all app streams together, about; beyond that those that hold most lose their oldest."""

    max_readers: PositiveInt = 2_000
    """WebSockets open at once; one more is answered with 503."""

    handshake_timeout_s: PositiveFloat = 5.0
    """How long a client may take for TLS."""

    header_timeout_s: PositiveFloat = 2.0
    """How long a client may take to send the head of its request, and then its body (loggregator.md 3.1)."""

    max_requests: PositiveInt = 2_000
    """Connections at once that speak TLS and are not answered yet; one more is answered with 503."""

    max_connections: PositiveInt = 5_000
    """Connections at once of whatever kind, those that do not speak TLS yet included; one more is closed."""
