"""Wire one reverse log proxy together: Dopplers in, v2 subscribers and server-sent events out.

In:    batches from every Doppler (gRPC `Egress`), one subscription per subscriber.
Out:   batches, or single envelopes, to each subscriber (gRPC `Egress`).
Drops: nothing here; the Dopplers hold, drop and count for a subscriber that is too slow.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import trio

from envelope.framing import envelopes
from plumbing.admin import start_admin
from plumbing.agent_link import report_through_agent
from plumbing.auth import make_authority
from plumbing.egress_client import Dopplers
from plumbing.egress_server import EGRESS, batches, singles
from plumbing.grpc_server import serve_grpc
from plumbing.island import open_island
from plumbing.ledger import Incarnation, total
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics
from reverse_log_proxy.config import Config
from reverse_log_proxy.gateway import Gateway
from reverse_log_proxy.metrics import expose, total_of
from reverse_log_proxy.readers import Readers
from reverse_log_proxy.self_metrics import make_self_metrics


async def serve(
    config: Config, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve subscribers until `stop` is set, deliver what is held for them, then return."""
    incarnation = Incarnation(config.name)
    dopplers = Dopplers(config.doppler_addresses, config.tls, random.Random())
    readers = Readers(dopplers, max_streams=config.max_egress_streams)
    services = {EGRESS: {"BatchedReceiver": batches(readers.open), "Receiver": singles(readers.open, envelopes)}}
    metrics = Metrics()
    gateway = _gateway(config, dopplers)
    expose(metrics, readers, dopplers, gateway)
    grpc = partial(serve_grpc, grace_s=config.drain_grace_s, max_connections=config.max_connections)

    async with open_island() as island, trio.open_nursery() as background:

        async def books() -> dict[str, Any]:
            sessions = gateway.sessions.accounts() if gateway else []
            accounts = [*await island.call(readers.accounts), *sessions]
            return incarnation.book([total("all", "hop", accounts), *accounts])

        async with trio.open_nursery() as doors, grpc(island, config.listen, config.tls, services) as address:
            ports = {"listen": address}
            if gateway:
                ports["gateway"] = await doors.start(partial(gateway.serve, island, stop=stop))
            admin = await start_admin(background, config, metrics, books)
            own = make_self_metrics(
                lambda: total_of(readers, gateway), lambda: len(readers), lambda: readers.rejected, dopplers
            )
            report_through_agent(background, island, config, own)
            task_status.started({**ports, "admin": admin})

            await stop.wait()
            await island.call(readers.close)  # each subscriber takes what is held for it and sees the end
        await island.run(readers.gone)
        await island.run(dopplers.close)
        background.cancel_scope.cancel()


def _gateway(config: Config, dopplers: Dopplers) -> Gateway | None:
    if not config.gateway.enabled:
        return None
    authority = make_authority(config.auth)
    return Gateway(config.gateway, config.tls, authority, dopplers, drain_grace_s=config.drain_grace_s)
