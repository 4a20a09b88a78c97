"""Wire one traffic controller together: Dopplers in, WebSockets out.

In:    batches of v2 envelopes from every Doppler (gRPC `Egress`), one subscription per client.
Out:   v1 envelopes, one to a WebSocket frame, over TLS.
Drops: nothing here; the Dopplers hold, drop and count for a client that is too slow.
"""

from __future__ import annotations

import random
from functools import partial

import trio

from plumbing.admin import Health, serve_admin
from plumbing.auth import TokenVerifier
from plumbing.egress_client import Dopplers
from plumbing.island import open_island
from plumbing.ledger import Incarnation
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics
from traffic_controller.config import Config
from traffic_controller.metrics import expose
from traffic_controller.readers import Readers
from traffic_controller.websocket_server import WebSocketServer, serving


async def serve(
    config: Config, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve clients until `stop` is set, then close each with 1001."""
    incarnation = Incarnation(config.name)
    readers = Readers()
    dopplers = Dopplers(config.doppler_addresses, config.tls, random.Random())
    server = WebSocketServer(config, TokenVerifier(config.tokens_dir), readers, dopplers)
    metrics = Metrics()
    expose(metrics, readers)

    async with open_island() as island, serving(island, server) as address, trio.open_nursery() as background:
        books = partial(island.call, lambda: incarnation.book([readers.total(), *readers.accounts()]))
        admin = await background.start(
            partial(
                serve_admin, config.admin_listen, config.tls, registry=metrics.registry, ledger=books, health=Health
            )
        )
        task_status.started({"listen": address, "admin": admin})

        await stop.wait()
        await island.run(server.close)
        await island.run(dopplers.close)
        background.cancel_scope.cancel()
