"""Every setting of a node of a log cache."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)

from log_cache.rest.config import RestSettings
from plumbing.auth import AuthSettings
from plumbing.config import ListenAddress, PeerAddress, Settings


class Config(Settings, table="log_cache"):
    """Settings of one node: TOML table `[log_cache]`, environment `LOG_CACHE_*`."""

    name: str = "log_cache"
    """What this node is called in the ledger and the logs."""

    listen: ListenAddress = "127.0.0.1:8080"
    """Where gRPC is served: `Ingress`, `Egress` and `PromQLQuerier` of `logcache.v1`."""

    doppler_addresses: list[PeerAddress] = ["127.0.0.1:8082"]
    """The Dopplers, as `host:port`; every address behind a name is used. None: what is cached comes by `Send` alone."""

    shard_id: str = "log-cache"
    """The name of the subscription that the nodes of a cluster share."""

    node_addresses: list[PeerAddress] = []
    """Where the nodes of the cluster listen, in the same order for all of them; none means that this node is alone."""

    node_index: NonNegativeInt = 0
    """Which of them this node is, counted from 0."""

    max_per_source: PositiveInt = 100_000
    """Envelopes of one source; beyond them its oldest go."""

    max_bytes_per_source: NonNegativeInt = 0
    """Bytes of one source's envelopes, as they came; beyond them its oldest go. 0: no such limit."""

    memory_limit_bytes: NonNegativeInt = 1 << 30
    """Memory that this process may take, as the kernel counts it; beyond it envelopes go. 0: a share of it alone."""

    memory_limit_percent: Annotated[float, Field(gt=0, le=100)] = 50.0
    """The same as a share of the machine's or the container's memory; the lesser of the two counts."""

    truncation_interval_s: PositiveFloat = 1.0
    """How often memory and age are looked at."""

    retention_s: NonNegativeFloat = 0.0
    """How old an envelope may become, by its own time. 0: as old as memory allows."""

    victims: Literal["oldest", "noisiest"] = "oldest"
    """Who goes when memory is short: the oldest envelopes of all, or the oldest of whoever has most."""

    settle_s: NonNegativeFloat = 0.5
    """How long an envelope is kept from clients that page by time and follow, so that late ones find their place."""

    read_threads: PositiveInt = 4
    """Reads that unpack envelopes at once; one more waits."""

    query_timeout_s: PositiveFloat = 10.0
    """How long a PromQL query may take."""

    max_queries: PositiveInt = 10
    """PromQL queries at once; one more waits."""

    max_connections: Annotated[int, Field(gt=0, le=1_000_000)] = 500
    """gRPC connections open at once; one more is closed."""

    agent_address: str = ""
    """The agent that this component's own metrics are sent through; empty means that they are not sent."""

    self_metrics_interval_s: PositiveFloat = 60.0
    """How often those metrics are sent."""

    rest: RestSettings = RestSettings()
    """The REST interface, over HTTPS, for clients that show a token."""

    auth: AuthSettings = AuthSettings()
    """Who decides who may read over REST."""

    @field_validator("node_index")
    @classmethod
    def _is_one_of_the_nodes(cls, index: int, validated: ValidationInfo) -> int:
        nodes = validated.data.get("node_addresses", [])
        if index >= max(1, len(nodes)):
            raise ValueError(f"there are {len(nodes)} node_addresses, counted from 0")
        return index

    @property
    def is_clustered(self) -> bool:
        """Whether there are other nodes."""
        return len(self.node_addresses) > 1
