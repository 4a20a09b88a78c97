"""Wire one traffic controller together: Dopplers in, WebSockets out.

In:    batches of v2 envelopes from every Doppler (gRPC `Egress`): a subscription per firehose, one for all app streams.
Out:   v1 envelopes, one to a WebSocket frame, over TLS.
Drops: nothing of a firehose: the Dopplers hold, drop and count for a client that is too slow. The oldest of an app
       stream whose client is.
"""

from __future__ import annotations

import random
import time
from functools import partial

import trio

from plumbing.admin import start_admin
from plumbing.agent_link import open_outbox, report_through_agent
from plumbing.auth import make_authority
from plumbing.diode import DiodePool
from plumbing.egress_client import Dopplers
from plumbing.island import Island, open_island
from plumbing.ledger import Incarnation
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics
from traffic_controller.access_log import AccessLog
from traffic_controller.app_streams import AppStreams
from traffic_controller.config import Config
from traffic_controller.feeds import Feeds
from traffic_controller.http_errands import Errands
from traffic_controller.log_cache_client import LogCache
from traffic_controller.metrics import expose, expose_doors
from traffic_controller.readers import Readers
from traffic_controller.self_metrics import make_self_metrics, slow_consumer_event
from traffic_controller.websocket_server import WebSocketServer, serving

_LEVEL_S = 0.5


async def serve(
    config: Config, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve clients until `stop` is set, then close each with 1001."""
    incarnation = Incarnation(config.name)
    outbox = open_outbox()
    readers = Readers(lambda stream: outbox.put(slow_consumer_event(stream, time.time_ns)))
    dopplers = Dopplers(config.doppler_addresses, config.tls, random.Random())
    pool = DiodePool(config.diode_capacity, config.diode_bytes, config.held_bytes)
    app_streams = AppStreams(dopplers, pool.make)
    authority = make_authority(config.auth)
    errands = Errands(LogCache(config) if config.log_cache_url else None, config.system_domain)
    access_log = AccessLog(config.security_event_log) if config.security_event_log else None
    server = WebSocketServer(config, authority, readers, Feeds(dopplers, app_streams), errands, access_log)
    metrics = Metrics()
    expose(metrics, readers)
    expose_doors(metrics, server, authority.counts, errands, access_log)

    async with open_island() as island, serving(island, server) as address, trio.open_nursery() as background:
        books = partial(
            island.call, lambda: incarnation.book([readers.total(), app_streams.account(), *readers.accounts()])
        )
        admin = await start_admin(background, config, metrics, books)
        background.start_soon(_keep_level, island, pool)
        report_through_agent(background, island, config, make_self_metrics(readers, app_streams), outbox=outbox)
        task_status.started({"listen": address, "admin": admin})

        await stop.wait()
        await island.run(server.close)
        await island.run(app_streams.close)
        await island.run(dopplers.close)
        await island.run(errands.close)
        await island.run(authority.close)
        if access_log is not None:
            await island.call(access_log.close)
        background.cancel_scope.cancel()


async def _keep_level(island: Island, pool: DiodePool) -> None:
    while True:
        await trio.sleep(_LEVEL_S)
        await island.call(pool.level)
