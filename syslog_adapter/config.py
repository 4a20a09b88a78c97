"""Every setting of a syslog adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from plumbing.config import ListenAddress, PeerAddress, Section, Settings
from syslog_adapter.addresses import parse_range
from syslog_adapter.writers import WriterSettings


class CapiSettings(Section):
    """A Cloud Controller that knows bindings."""

    url: str = ""
    """Where its internal interface is, as `https://host:port`; empty means that there is none."""

    batch_size: Annotated[int, Field(gt=0, le=10_000)] = 1000
    """Bindings asked for at once."""

    interval_s: PositiveFloat = 15.0
    """How often it is asked."""

    timeout_s: PositiveFloat = 30.0
    """How long one page may take."""

    ca: Path | None = None
    """PEM file of the authority that signed its certificate; empty means `tls_ca`."""


class CacheSettings(Section):
    """The door for original agents, and for whoever asks how the drains fare."""

    enabled: bool = False
    """Whether it is served."""

    listen: ListenAddress = "127.0.0.1:9000"
    """Where, over mTLS."""

    max_connections: PositiveInt = 200
    """Connections open at once; one more is closed."""


class Config(Settings, table="syslog_adapter"):
    """Settings of one adapter: TOML table `[syslog_adapter]`, environment `SYSLOG_ADAPTER_*`."""

    name: str = "syslog_adapter"
    """What this adapter is called in the ledger and the logs."""

    doppler_addresses: list[PeerAddress] = ["127.0.0.1:8082"]
    """The Dopplers, as `host:port`; every address behind a name is used."""

    shard_id: str = "syslog-adapter"
    """The name of the subscription that all adapters share: each envelope goes to one of them, whichever has room."""

    bindings_file: Path | None = None
    """A file of bindings, JSON, YAML or TOML; one without `source_id` is for everybody's envelopes."""

    drains_dir: Path | None = None
    """The data directory in which `standpipe drain` keeps its drains."""

    file_interval_s: PositiveFloat = 2.0
    """How often those files are looked at."""

    capi: CapiSettings = CapiSettings()
    """A Cloud Controller that knows bindings."""

    drains_per_source: PositiveInt = 5
    """Drains that one source may have; of more, those whose URLs come first."""

    blacklisted_ranges: list[str] = []
    """Addresses that no drain may have, each as `start-end`: looked at when it is bound, and whenever it is dialled."""

    warn_on_invalid_drains: bool = True
    """Whether an app is told in its own log stream what is wrong with its drains."""

    diode_capacity: PositiveInt = 10_000
    """Envelopes that wait for one drain before the oldest are dropped."""

    diode_bytes: PositiveInt = 16 << 20
    """Bytes that wait for one drain before the oldest are dropped."""

    spool_dir: Path | None = None
    """Directory in which drains that ask for it (`spool=true`) keep on disk what they cannot deliver at once: one
    adapter's alone. Empty means that none can."""

    spool_max_bytes: PositiveInt = 256 << 20
    """The most that one drain keeps there before the oldest is dropped; its URL may ask for less (`spool=BYTES`)."""

    idle_s: PositiveFloat = 600.0
    """How long a connection stays open with nothing to send."""

    close_grace_s: PositiveFloat = 60.0
    """How long what waits for a drain may take to leave once its binding is gone."""

    tell_losses_s: PositiveFloat = 10.0
    """How often an app is told of messages that its drains lost."""

    writing: WriterSettings = WriterSettings()
    """How drains are reached."""

    cache: CacheSettings = CacheSettings()
    """The door for original agents."""

    agent_address: str = ""
    """The agent through which apps are told of their drains, and this component's own metrics are sent; empty means
    neither."""

    self_metrics_interval_s: PositiveFloat = 60.0
    """How often those metrics are sent."""

    @field_validator("blacklisted_ranges")
    @classmethod
    def _are_ranges(cls, ranges: list[str]) -> list[str]:
        for each in ranges:
            parse_range(each)
        return ranges
