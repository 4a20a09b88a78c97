"""Wire one node of a log cache together: envelopes in, answers out.

In:    batches from every Doppler, and by gRPC `Ingress.Send`.
Out:   reads, metadata and PromQL, over gRPC and REST; to other nodes of the cluster what is theirs.
Drops: nothing that came in; the oldest expire when there are too many, or when memory is short, and are counted.
"""

from __future__ import annotations

import random
import secrets
import time
from functools import partial
from typing import Any

import trio

from envelope.kinds import Kind
from envelope.selectors import make_request
from log_cache.books import accounts
from log_cache.cache import Cache
from log_cache.cluster import Cluster
from log_cache.config import Config
from log_cache.doors import Doors
from log_cache.intake import Intake
from log_cache.memory import MemoryLimit, machine_bytes
from log_cache.metrics import expose, expose_doors
from log_cache.peer import MAX_MESSAGE_BYTES
from log_cache.queries import Queries
from log_cache.reads import Reads
from log_cache.rest.service import Rest
from log_cache.self_metrics import make_self_metrics
from log_cache.store import Store, StoreLimits
from plumbing.admin import start_admin
from plumbing.agent_link import report_through_agent
from plumbing.auth import make_authority
from plumbing.egress_client import Dopplers
from plumbing.grpc_server import serve_grpc
from plumbing.island import Island, open_island
from plumbing.ledger import Incarnation
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics

_QUERIES_SHARE = 4  # of memory may be taken by queries, which is then not there for envelopes
_HEADS_SHARE = 8  # of memory may wait to be packed: with very many sources each has little to pack


async def serve(
    config: Config, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED
) -> None:
    """Take envelopes in and answer until `stop` is set; what is held is gone then."""
    incarnation = Incarnation(config.name)
    memory = MemoryLimit.of(machine_bytes(), config.memory_limit_percent, config.memory_limit_bytes)
    cluster = Cluster(config.node_addresses, config.node_index, config.tls) if config.is_clustered else None
    cache = Cache(Store(_limits(config, memory)), time.time_ns)
    intake = Intake(cache, cluster)
    reads = Reads(
        cache,
        cluster,
        incarnation=secrets.randbits(64),
        now_ns=time.time_ns,
        settle_ns=round(config.settle_s * 1e9),
        threads=config.read_threads,
    )
    queries = Queries(
        reads,
        now_ns=time.time_ns,
        timeout_s=config.query_timeout_s,
        at_once=config.max_queries,
        most_bytes=memory.limit_bytes // _QUERIES_SHARE,
    )
    doors = Doors(intake, reads, queries, now_ns=time.time_ns)
    rest = _rest(config, reads, queries)
    dopplers = Dopplers(config.doppler_addresses, config.tls, random.Random())
    metrics = Metrics()
    expose(metrics, intake, cache, cluster, memory.limit_bytes)
    expose_doors(metrics, reads, queries, cache, dopplers, rest)
    grpc = partial(
        serve_grpc,
        grace_s=config.drain_grace_s,
        max_connections=config.max_connections,
        max_message_bytes=MAX_MESSAGE_BYTES,
    )

    async with open_island() as island, trio.open_nursery() as background:

        async def books() -> dict[str, Any]:
            return incarnation.book(await island.call(accounts, intake, cache, cluster))

        background.start_soon(island.run, cache.keep_within, memory, config.truncation_interval_s)
        if cluster is not None:
            await island.call(cluster.start)
        async with trio.open_nursery() as served, grpc(island, config.listen, config.tls, doors.services()) as address:
            ports = {"listen": address}
            if rest:
                ports["rest"] = await served.start(partial(rest.serve, island, stop=stop))
            request = make_request(Kind.TYPED, shard_id=config.shard_id)
            await island.call(intake.subscription.open, dopplers, request)
            admin = await start_admin(background, config, metrics, books)
            own = make_self_metrics(intake, cache, cluster, reads, queries, memory.limit_bytes)
            report_through_agent(background, island, config, own)
            task_status.started({**ports, "admin": admin})

            await stop.wait()
            await island.call(doors.close)
            await island.run(intake.subscription.close)
        await _hang_up(island, dopplers, cluster, config.drain_grace_s)
        reads.close()
        queries.close()
        background.cancel_scope.cancel()


async def _hang_up(island: Island, dopplers: Dopplers, cluster: Cluster | None, grace_s: float) -> None:
    if cluster is not None:
        await island.run(cluster.close, grace_s)
    await island.run(dopplers.close)


def _limits(config: Config, memory: MemoryLimit) -> StoreLimits:
    return StoreLimits(
        head_bytes=memory.limit_bytes // _HEADS_SHARE,
        per_source=config.max_per_source,
        per_source_bytes=config.max_bytes_per_source,
        retention_ns=round(config.retention_s * 1e9),
        victims=config.victims,
    )


def _rest(config: Config, reads: Reads, queries: Queries) -> Rest | None:
    if not config.rest.enabled:
        return None
    authority = make_authority(config.auth)
    return Rest(config.rest, config.tls, authority, reads, queries, drain_grace_s=config.drain_grace_s)
