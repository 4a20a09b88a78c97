"""Every setting of an agent."""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveInt

from metron.sources import (
    DropsondeDoor,
    FileSource,
    HostMetrics,
    Prometheus,
    StatsdDoor,
    StdinSource,
    SyslogReceiver,
)
from plumbing.config import PeerAddress, Settings


class Config(Settings, table="metron"):
    """Settings of one agent: TOML table `[metron]`, environment `METRON_*`."""

    name: str = "metron"
    """What this agent is called in the ledger and the logs."""

    listen: str = "127.0.0.1:3458"
    """Where gRPC ingress is served to the applications of this machine."""

    doppler_addresses: list[PeerAddress] = ["127.0.0.1:8082"]
    """The Dopplers, as `host:port`; every address behind a name is used."""

    preferred_doppler_addresses: list[PeerAddress] = []
    """The Dopplers of this agent's own zone, used instead of `doppler_addresses` as long as one of these names
    resolves, though nobody may answer there. `@` in a name stands for `-`."""

    connections_per_doppler: PositiveInt = 1
    """Streams to each Doppler."""

    recycle_batches: PositiveInt = 100_000
    """Messages (plus up to 1,000 at random) after which a connection is made anew, so that load rebalances."""

    logs_disabled: bool = False
    """Whether logs that come by gRPC are left out; what comes by other doors, and other kinds, goes on."""

    tags: dict[str, str] = {}
    """Tags every envelope gets that has none of that name: deployment, job, index, ip ..."""

    diode_capacity: PositiveInt = 250_000
    """Envelopes held while the Dopplers are away or slow, before the oldest are dropped."""

    diode_bytes: PositiveInt = 128 << 20
    """Bytes held while the Dopplers are away or slow, before the oldest are dropped."""

    source_window_bytes: PositiveInt = 8 << 20
    """Bytes of this agent's own sources on their way at once; files wait beyond that."""

    files: list[FileSource] = []
    """Files to follow."""

    stdin: StdinSource | None = None
    """Whether and how this process's standard input is read."""

    host_metrics: HostMetrics = HostMetrics(enabled=False)
    """Whether and how often the machine's own metrics are read."""

    prometheus: Prometheus = Prometheus()
    """Which Prometheus targets are scraped, and how."""

    dropsonde: DropsondeDoor = DropsondeDoor()
    """Whether and where v1 envelopes are taken, one in each UDP datagram."""

    statsd: StatsdDoor = StatsdDoor()
    """Whether and where statsd is taken over UDP."""

    syslog: SyslogReceiver = SyslogReceiver()
    """Whether, where and how syslog is taken, over TLS, TCP and UDP."""

    checkpoint_dir: Path | None = None
    """Where the positions in followed files are kept; without it, every start begins anew."""
