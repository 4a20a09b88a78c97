"""Every setting of the runner of a nozzle; those of the sink are its kind's."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, create_model

from nozzles.filters import FilterSettings
from nozzles.sdk import NozzleKind
from nozzles.transforms import TransformSettings
from plumbing.config import PeerAddress, Section, Settings


class WebSocketSettings(Section):
    """Where a v1 firehose is, and what opens it."""

    address: PeerAddress = "127.0.0.1:8081"
    """The traffic controller, as `host:port`."""

    server_name: str = ""
    """The name that its certificate must carry; empty: the host of its address."""

    ca: Path | None = None
    """PEM file of those who may sign its certificate; none means `tls_ca`."""

    token_file: Path | None = None
    """File with the token that opens the firehose, with or without `bearer` before it, for its owner alone (mode 0600);
    read anew for each connection, so that it can be renewed. None: no token is shown."""


class Config(Settings, table="nozzles"):
    """Settings of one nozzle: TOML table `[nozzles.NAME]`, environment `NOZZLES_NAME_*`."""

    name: str = ""
    """What this nozzle is called: its table, and its name in the ledger and the logs."""

    kind: str = ""
    """Which kind of nozzle it is; empty: the one of its own name."""

    doppler_addresses: list[PeerAddress] = ["127.0.0.1:8082"]
    """The Dopplers, as `host:port`; every address behind a name is used."""

    source: Literal["grpc", "websocket"] = "grpc"
    """`grpc`: the Dopplers, who keep what is not confirmed. `websocket`: the v1 firehose of a traffic controller, which
    has no confirmations, for where no Doppler can be reached."""

    websocket: WebSocketSettings = WebSocketSettings()
    """The traffic controller, if that is the source."""

    shard_id: str = ""
    """The name of the subscription, which processes of the same nozzle share; empty: `nozzle-NAME`."""

    deterministic_name: str = ""
    """What this process is called among those that share the subscription, so that a counter's or gauge's name always
    comes to the same one; empty: whoever has room gets it."""

    filter: FilterSettings = FilterSettings()
    """What of the firehose this nozzle is for. The Dopplers send none but its types and sources: whoever shares a
    subscription needs the same ones."""

    transforms: list[TransformSettings] = []
    """What is done to it on the way, in this order."""

    batch_max_envelopes: PositiveInt = 1000
    """Envelopes in a batch for the sink; more when a Doppler sent more in one message, which is not cut."""

    batch_max_bytes: int = Field(default=1 << 20, ge=1, le=32 << 20)
    """Bytes in a batch for the sink; more when a Doppler sent more in one message, which is not cut."""

    batch_max_age_s: PositiveFloat = 0.1
    """How long an envelope may wait for others to make a batch."""

    memory_bytes: PositiveInt = 8 << 20
    """Bytes that wait in memory for the sink; beyond that they are spooled, or else stay with the Dopplers."""

    spool_dir: Path | None = None
    """The directory on disk where batches wait while the sink is away or slow, for this nozzle alone; none: no disk."""

    spool_max_bytes: PositiveInt = 1 << 30
    """Bytes of the spool; beyond that its oldest envelopes are dropped."""

    spool_mode: Literal["auto", "always", "when_slow", "off"] = "auto"
    """`always`: every batch is on disk before it is sent, and keeps its id. `when_slow`: only what waits. `auto`:
    `always` for a kind that delivers exactly once, else `when_slow`."""

    spool_sync: Literal["never", "segment", "always"] = "never"
    """When the spool is forced to disk. `never` outlives the process, but not a crash of the machine."""

    retry_first_s: PositiveFloat = 0.1
    """How long to wait after the first failure; twice as long after each further one, with jitter."""

    retry_most_s: PositiveFloat = 30.0
    """How long at most to wait between two attempts, unless the sink itself asks for longer."""

    write_timeout_s: PositiveFloat = 30.0
    """How long one attempt may take, and opening or closing the nozzle."""

    agent_address: str = ""
    """The agent that this component's own metrics are sent through; empty means that they are not sent."""

    self_metrics_interval_s: PositiveFloat = 60.0
    """How often those metrics are sent."""

    sink: Section = Section()
    """The sink's own settings: see its kind."""

    @property
    def subscription(self) -> str:
        """The shard_id, or what stands for it."""
        return self.shard_id or f"nozzle-{self.name}"


def make_config(kind: NozzleKind, name: str) -> type[Config]:
    """Make the settings of one nozzle: those of the runner, and in `sink` those of its kind."""
    sink = Field(default={}, validate_default=True, description="The sink's own settings.")
    made: type[Config] = create_model(
        "NozzleConfig",
        __base__=Config,
        __cls_kwargs__={"table": f"nozzles.{name}"},
        name=(str, Field(default=name, description=Config.model_fields["name"].description)),
        sink=(kind.Config, sink),
    )
    return made
