"""Every setting of an event store."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt

from event_store.clickhouse.config import ClickHouseSettings
from event_store.http.config import HttpSettings
from event_store.storage import StorageSettings
from plumbing.auth import AuthSettings
from plumbing.config import ListenAddress, PeerAddress, Section, Settings


class QuerySettings(Section):
    """What one query may take, and how many there may be."""

    seconds: PositiveFloat = 30.0
    """How long a query may take."""

    memory_bytes: PositiveInt = 1 << 30
    """Memory that queries may take, all together."""

    rows: PositiveInt = 100_000
    """Rows that a query may answer with."""

    concurrent: PositiveInt = 4
    """Queries at once; one more waits for `http.queue_s`."""


class Config(Settings, table="event_store"):
    """Settings of an event store: TOML table `[event_store]`, environment `EVENT_STORE_*`."""

    name: str = "event_store"
    """What this store is called in the ledger and the logs."""

    listen: ListenAddress = "127.0.0.1:8085"
    """Where queries are answered, over HTTPS."""

    doppler_addresses: list[PeerAddress] = ["127.0.0.1:8082"]
    """The Dopplers, as `host:port`; every address behind a name is used."""

    shard_id: str = "event-store"
    """The name of the subscription. A second store that is to hold everything, too, needs another one."""

    data_dir: Path
    """The directory of the events, for this store alone; it is made if need be, for its owner alone (mode 0700)."""

    parse_fields: bool = True
    """Whether lines that are JSON, or have `key=value` in them, are parsed into fields; the line is kept anyway."""

    batch_max_envelopes: PositiveInt = 10_000
    """Envelopes that are forced to disk together; more when a Doppler sent more in one message, which is not cut."""

    batch_max_bytes: int = Field(default=4 << 20, ge=1, le=32 << 20)
    """Bytes of them, as they came."""

    batch_max_age_s: PositiveFloat = 0.02
    """How long an envelope may wait for others to be forced to disk with: what an append costs, few cost as well."""

    storage: StorageSettings = StorageSettings()
    """How events are kept on disk."""

    query: QuerySettings = QuerySettings()
    """What queries may take."""

    http: HttpSettings = HttpSettings()
    """The API and the page, over HTTPS, for clients that show a token."""

    auth: AuthSettings = AuthSettings()
    """Who decides who may read over it."""

    clickhouse: ClickHouseSettings = ClickHouseSettings()
    """Where segments are shipped to, if anywhere."""

    agent_address: str = ""
    """The agent that this component's own metrics are sent through; empty means that they are not sent."""

    self_metrics_interval_s: PositiveFloat = 60.0
    """How often those metrics are sent."""
