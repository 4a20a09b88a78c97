"""Wire one event store together: the firehose in, events on disk.

In:    batches from every Doppler, one subscription; what is in the data directory from the last time.
Out:   the data directory: each envelope once, as events; answers, live tails and a page over HTTPS; segments, shipped
       to ClickHouse if there is one.
Drops: what cannot be kept at all, counted. An arrival is confirmed when its events are on disk; until then, and while
       the disk is full, it stays with its Doppler.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio

from event_store.clickhouse.metrics import expose as expose_shipping
from event_store.clickhouse.service import open_shipper_of
from event_store.config import Config
from event_store.http.metrics import expose as expose_http
from event_store.http.service import Http
from event_store.intake import make_gathering, make_source
from event_store.metrics import Parts, expose
from event_store.self_metrics import make_self_metrics
from event_store.storage import Store, StoreBusy, StoreDamaged, StoreLocked
from event_store.upkeep import Upkeep
from event_store.writer import Writer
from plumbing.admin import Health, start_admin
from plumbing.agent_link import report_through_agent
from plumbing.config import ConfigError
from plumbing.island import open_island
from plumbing.ledger import Incarnation
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics


async def serve(
    config: Config, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED
) -> None:
    """Store until `stop` is set, then what is held, within the grace; the rest stays with the Dopplers."""
    incarnation = Incarnation(config.name)

    async with (
        _open_store(config) as store,
        open_shipper_of(store, config.clickhouse) as shipper,
        open_island() as island,
        trio.open_nursery() as background,
    ):
        source = make_source(config, island, store.marks())
        http = Http(config, store) if config.http.enabled else None
        writer = Writer(http.heard if http else store, parse_fields=config.parse_fields)
        upkeep = Upkeep(store, config.storage.verify_bytes_per_s)
        gathering = make_gathering(config, island, source, writer)
        parts = Parts(source.intake, source.connections, gathering, writer, upkeep)
        metrics = Metrics()
        expose(metrics, parts)
        if http:
            expose_http(metrics, http)
        if shipper:
            expose_shipping(metrics, shipper)
            background.start_soon(shipper.run)

        async def books() -> dict[str, Any]:
            return incarnation.book([await source.account(), parts.account])

        background.start_soon(upkeep.run)
        async with trio.open_nursery() as flow:
            flow.start_soon(writer.run, gathering.run)
            await source.open()
            admin = await start_admin(background, config, metrics, books, health=lambda: Health(parts.troubles))
            report_through_agent(background, island, config, make_self_metrics(parts))
            listen = {"listen": await flow.start(partial(http.serve, stop=stop))} if http else {}
            task_status.started({**listen, "admin": admin})

            await stop.wait()
            ends_at = flow.cancel_scope.deadline = trio.current_time() + config.drain_grace_s
            await source.stop()
            gathering.close()
        await source.close()
        with trio.move_on_at(ends_at):  # what is not flushed is in the log
            await upkeep.flush()
        background.cancel_scope.cancel()


@asynccontextmanager
async def _open_store(config: Config) -> AsyncIterator[Store]:
    try:
        store = await trio.to_thread.run_sync(partial(Store.open, config.data_dir, config.storage))
    except (StoreBusy, StoreDamaged, StoreLocked, OSError) as error:
        raise ConfigError(f"data_dir {config.data_dir}: {error}") from error
    try:
        yield store
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)
