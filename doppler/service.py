"""Wire one doppler together: batches in, routed batches out.

In:    batches from agents (gRPC `Ingress`).
Out:   batches to each subscription (gRPC `Egress`).
Drops: the oldest envelopes of a subscription whose diode is full, or that nobody came back to.
"""

from __future__ import annotations

import random
import time
from functools import partial

import trio

from doppler.config import Config
from doppler.metrics import expose
from doppler.router import Router, TooManySubscriptions
from doppler.subscription import Reader
from envelope.errors import DecodeError
from envelope.selectors import parse_request
from plumbing.admin import Health, serve_admin
from plumbing.diode import SharedDiode
from plumbing.egress_server import EGRESS, Egress, RequestRefused
from plumbing.grpc_server import serve_grpc
from plumbing.ingress_server import INGRESS, Ingress, IngressCounts
from plumbing.island import Island, open_island
from plumbing.ledger import Account, Incarnation
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics

_EXPIRY_CHECK_S = 0.5


async def serve(
    config: Config, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED
) -> None:
    """Accept until `stop` is set, deliver what is held to the readers there are, then return."""
    incarnation = Incarnation(config.name)
    router = Router(
        partial(SharedDiode, config.diode_capacity, config.diode_bytes),
        linger_s=config.linger_s,
        max_subscriptions=config.max_subscriptions,
        now_ns=time.time_ns,
        rng=random.Random(),
    )
    counts = IngressCounts()
    ingress = Ingress(router.route, counts, unary_send=False)
    egress = Egress(partial(_open_reader, router))
    services = {INGRESS: ingress.service(), EGRESS: egress.service()}
    metrics = Metrics()
    expose(metrics, counts, router)

    async with open_island() as island, trio.open_nursery() as background:
        async with serve_grpc(island, config.listen, config.tls, services, grace_s=config.drain_grace_s) as address:
            books = partial(island.call, lambda: incarnation.book(_accounts(counts, router)))
            admin = await background.start(
                partial(
                    serve_admin,
                    config.admin_listen,
                    config.tls,
                    registry=metrics.registry,
                    ledger=books,
                    health=Health,
                )
            )
            background.start_soon(_expire_lingering, island, router)
            task_status.started({"listen": address, "admin": admin})

            await stop.wait()
            await island.call(ingress.close)  # what was not read stays with its sender
            await island.call(router.close)  # each reader takes what is held for it and sees the end
        background.cancel_scope.cancel()


def _open_reader(router: Router, message: bytes) -> Reader:
    try:
        return router.subscribe(parse_request(message))
    except DecodeError as error:
        raise RequestRefused("INVALID_ARGUMENT", str(error)) from error
    except TooManySubscriptions as error:
        raise RequestRefused("RESOURCE_EXHAUSTED", str(error)) from error


def _accounts(counts: IngressCounts, router: Router) -> list[Account]:
    ingress = Account(
        account="ingress",
        kind="ingress",
        received=counts.received,
        delivered=router.routed,
        dropped={"malformed": counts.malformed},
    )
    return [ingress, *router.accounts()]


async def _expire_lingering(island: Island, router: Router) -> None:
    while True:
        await trio.sleep(_EXPIRY_CHECK_S)
        await island.call(lambda: router.expire(time.monotonic()))
