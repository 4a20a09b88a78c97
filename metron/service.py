"""Wire one agent together: envelopes in, tagged envelopes out.

In:    envelopes from applications (gRPC `Ingress`; dropsonde and statsd over UDP), syslog (TLS, TCP, UDP), what is in
       files, on standard input and in this machine's metrics.
Out:   batches to the Dopplers (gRPC `Ingress`), whichever has time.
Drops: the oldest envelopes when the Dopplers take less than comes in; datagrams, when they come too fast.
"""

from __future__ import annotations

import random
from functools import partial

import trio

from metron.agent import Agent
from metron.config import Config
from metron.metrics import expose
from metron.outlet import AgentOutlet, DoorOutlet
from metron.pool import run_pool
from metron.sources import SourceCounts, receive_syslog, run_doors, run_sources
from plumbing.admin import start_admin
from plumbing.diode import SharedDiode
from plumbing.grpc_server import serve_grpc
from plumbing.ingress_server import INGRESS, Ingress
from plumbing.island import open_island
from plumbing.ledger import Incarnation
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics

_DRAIN_CHECK_S = 0.02


async def serve(
    config: Config, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED
) -> None:
    """Accept until `stop` is set, send what is held, then return."""
    incarnation = Incarnation(config.name)
    diode = SharedDiode(config.diode_capacity, config.diode_bytes)
    agent = Agent(config.tags, diode, logs_disabled=config.logs_disabled)
    sources = SourceCounts()
    ingress = Ingress(agent.accept, agent.doors, unary_send=True)
    metrics = Metrics()
    expose(metrics, agent, sources)

    async with open_island() as island, trio.open_nursery() as background:
        background.start_soon(island.run, run_pool, config, agent, random.Random())
        async with serve_grpc(island, config.listen, config.tls, {INGRESS: ingress.service()}, grace_s=1.0) as address:
            books = partial(island.call, lambda: incarnation.book([agent.account(), *agent.link_accounts()]))
            admin = await start_admin(background, config, metrics, books)
            outlet, door_outlet = AgentOutlet(island, agent, config.source_window_bytes), DoorOutlet(island, agent)
            async with trio.open_nursery() as reading:
                await reading.start(partial(run_sources, config, outlet, sources, stop=stop))
                udp = await reading.start(partial(run_doors, config, door_outlet, sources, stop=stop))
                receive = partial(receive_syslog, config, outlet, door_outlet, sources, stop=stop)
                syslog = await reading.start(receive)
                task_status.started({"listen": address, "admin": admin, **udp, **syslog})
                await stop.wait()
                deadline = reading.cancel_scope.deadline = trio.current_time() + config.drain_grace_s
            await island.call(ingress.close)  # what was not read stays with its sender
        await island.call(agent.diode.close)
        with trio.move_on_at(deadline):
            while await island.call(lambda: agent.unsettled):
                await trio.sleep(_DRAIN_CHECK_S)
        background.cancel_scope.cancel()
