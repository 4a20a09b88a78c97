"""Wire one doppler together: envelopes in, routed batches out, v1 and v2 on one port.

In:    batches and envelopes from agents (gRPC `Ingress`, `DopplerIngestor`).
Out:   batches to each subscription (gRPC `Egress`, `Doppler`).
Drops: the oldest envelopes of a subscription whose diode is full, or that nobody came back to.
"""

from __future__ import annotations

import random
import time
from functools import partial

import trio

from doppler.config import Config
from doppler.egress import V1_EGRESS, v1_service, v2_service
from doppler.exchange import Exchange
from doppler.metrics import expose
from doppler.router import Router
from doppler.self_metrics import make_self_metrics
from doppler.v1_ingress import INGESTOR, V1Ingress
from doppler.v1_router import V1Router
from plumbing.admin import start_admin
from plumbing.diode import DiodePool
from plumbing.egress_server import EGRESS
from plumbing.grpc_server import serve_grpc
from plumbing.ingress_server import INGRESS, Ingress, IngressCounts
from plumbing.island import Island, open_island
from plumbing.ledger import Account, Incarnation
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics
from plumbing.self_metrics import SelfMetrics

_HOUSEKEEPING_S = 0.5


async def serve(
    config: Config, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED
) -> None:
    """Accept until `stop` is set, deliver what is held to the readers there are, then return."""
    incarnation = Incarnation(config.name)
    pool = DiodePool(config.diode_capacity, config.diode_bytes, config.held_bytes)
    router, v1_router = _routers(config, pool)
    exchange = Exchange(router, v1_router)
    counts = IngressCounts()
    ingress = Ingress(exchange.accept, counts, unary_send=False)
    v1_ingress = V1Ingress(exchange.accept_v1, counts)
    services = {
        INGRESS: ingress.service(),
        INGESTOR: v1_ingress.service(),
        EGRESS: v2_service(router),
        V1_EGRESS: v1_service(v1_router),
    }
    metrics = Metrics()
    expose(metrics, counts, exchange)
    self_metrics = make_self_metrics(config.metric_source_id, config.tags, counts, exchange)

    async with open_island() as island, trio.open_nursery() as background:
        async with serve_grpc(island, config.listen, config.tls, services, grace_s=config.drain_grace_s) as address:
            books = partial(island.call, lambda: incarnation.book(_accounts(counts, v1_ingress, exchange)))
            admin = await start_admin(background, config, metrics, books)
            background.start_soon(_keep_house, island, exchange, pool)
            if config.self_metrics_interval_s:
                background.start_soon(_tell_of_itself, island, exchange, self_metrics, config.self_metrics_interval_s)
            task_status.started({"listen": address, "admin": admin})

            await stop.wait()
            await island.call(ingress.close)  # what was not read stays with its sender
            await island.call(v1_ingress.close)
            await island.call(exchange.close)  # each reader takes what is held for it and sees the end
        background.cancel_scope.cancel()


def _routers(config: Config, pool: DiodePool) -> tuple[Router, V1Router]:
    router = Router(
        pool.make,
        linger_s=config.linger_s,
        max_subscriptions=config.max_subscriptions,
        now_ns=time.time_ns,
        rng=random.Random(),
    )
    return router, V1Router(pool.make, linger_s=config.linger_s, places=router.places, now_ns=time.time_ns)


def _accounts(counts: IngressCounts, v1_ingress: V1Ingress, exchange: Exchange) -> list[Account]:
    ingress = Account(
        account="ingress",
        kind="ingress",
        received=counts.received,
        delivered=exchange.taken_in,
        dropped={"malformed": counts.malformed},
        held=v1_ingress.held,
        outside=counts.outside,
    )
    own = Account(account="self-metrics", kind="self", received=exchange.own, delivered=exchange.own)
    return [ingress, own, *exchange.accounts()]


async def _keep_house(island: Island, exchange: Exchange, pool: DiodePool) -> None:
    def keep_house() -> None:
        exchange.expire(time.monotonic())
        pool.level()

    while True:
        await trio.sleep(_HOUSEKEEPING_S)
        await island.call(keep_house)


async def _tell_of_itself(island: Island, exchange: Exchange, metrics: SelfMetrics, interval_s: float) -> None:
    while True:
        await trio.sleep(interval_s)
        await island.call(lambda: exchange.accept_own(metrics.batch(time.time_ns())))
