"""Every setting of a traffic controller."""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveFloat, PositiveInt

from plumbing.config import Settings


class Config(Settings, table="traffic_controller"):
    """Settings of one traffic controller: TOML table `[traffic_controller]`, environment `TRAFFIC_CONTROLLER_*`."""

    name: str = "traffic_controller"
    """What this traffic controller is called in the ledger and the logs."""

    listen: str = "127.0.0.1:8081"
    """Where WebSockets are served, over TLS; clients show a token, not a certificate."""

    doppler_addresses: list[str] = ["127.0.0.1:8082"]
    """The Dopplers, as `host:port`; every address behind a name is used."""

    tokens_dir: Path = Path("tokens")
    """Where the public key of the tokens and the list of revoked ones are."""

    slow_consumer_s: PositiveFloat = 5.0
    """How long a client may take no data before it is cut off (loggregator.md 3.1)."""

    goodbye_s: PositiveFloat = 6.0
    """How long a cut-off client may take to read what it was sent and the close frame."""

    pong_timeout_s: PositiveFloat = 30.0
    """How long a client may take to answer a ping."""

    ping_interval_s: PositiveFloat = 15.0
    """Time between an answered ping and the next one."""

    max_readers: PositiveInt = 2_000
    """WebSockets open at once; one more is answered with 503."""

    handshake_timeout_s: PositiveFloat = 5.0
    """How long a client may take for TLS and its request."""
