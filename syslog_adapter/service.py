"""Wire one syslog adapter together: envelopes in, messages out.

In:    batches from every Doppler; bindings from files and a Cloud Controller.
Out:   messages to drains: syslog over TCP or TLS, or HTTPS. Words to the owners of apps, through the agent.
Drops: the oldest for a drain that takes too little, and what a drain does not take after many tries; both counted.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from envelope.kinds import Kind
from envelope.selectors import make_request
from plumbing.admin import start_admin
from plumbing.agent_link import open_outbox, report_through_agent
from plumbing.diode import SharedDiode
from plumbing.egress_client import Dopplers
from plumbing.island import Island, open_island
from plumbing.ledger import Incarnation
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics
from plumbing.tls import client_context
from syslog_adapter.addresses import Addresses, IpRange, parse_range, resolve_host
from syslog_adapter.bindings.capi import CapiBindings
from syslog_adapter.bindings.file import FileBindings
from syslog_adapter.bindings.keeper import BindingSource, Keeper
from syslog_adapter.bindings.store import StoreBindings
from syslog_adapter.bindings.validate import Validator
from syslog_adapter.books import accounts
from syslog_adapter.cache import application, serve_cache
from syslog_adapter.config import Config
from syslog_adapter.dispatch import Dispatcher
from syslog_adapter.inbox import Together
from syslog_adapter.intake import Intake
from syslog_adapter.metrics import expose
from syslog_adapter.notices import notice
from syslog_adapter.options import DrainSettings
from syslog_adapter.pool import Pool
from syslog_adapter.retry import waits
from syslog_adapter.self_metrics import make_self_metrics
from syslog_adapter.writers import open_writer

_FIRST_LOOK_S = 10.0


async def serve(
    config: Config, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED
) -> None:
    """Deliver until `stop` is set, then what still waits, for `drain_grace_s` at most; what is left stays in spools.

    Of what has no spool the rest is counted as lost.
    """
    incarnation = Incarnation(config.name)
    metrics = Metrics()
    dopplers = Dopplers(config.doppler_addresses, config.tls, random.Random())

    async with open_island() as island, trio.open_nursery() as background, trio.open_nursery() as delivering:
        outbox = await island.call(open_outbox)
        warn = _warner(island, outbox, agent=bool(config.agent_address))
        dispatcher = Dispatcher()
        intake = Intake(island, dispatcher)
        pool = Pool(dispatcher, _drain_settings(config, delivering, warn), close_grace_s=config.close_grace_s)
        keeper = _keeper(config, pool, warn)

        async def books() -> dict[str, Any]:
            return incarnation.book(accounts(intake, pool))

        with trio.move_on_after(_FIRST_LOOK_S):  # so that what comes first finds its drains
            await keeper.refresh()
        background.start_soon(keeper.run)
        background.start_soon(intake.run)
        background.start_soon(_keep_telling, pool, config.tell_losses_s)
        ports: dict[str, str] = {}
        if config.cache.enabled:
            app = application(lambda: keeper.table, lambda: pool.everyone, lambda: keeper.left_out)
            ports["cache"] = await background.start(serve_cache, config.cache, config.tls, app)
        request = make_request(Kind.TYPED, shard_id=config.shard_id)
        background.start_soon(_subscribe, pool, partial(island.call, intake.subscription.open, dopplers, request))
        expose(metrics, intake, keeper, pool, dopplers)
        ports["admin"] = await start_admin(background, config, metrics, books)
        report_through_agent(background, island, config, make_self_metrics(intake, keeper, pool), outbox=outbox)
        task_status.started(ports)

        await stop.wait()
        intake.stop()
        await island.run(intake.subscription.close)
        intake.finish()
        await pool.close(config.drain_grace_s)
        pool.tell_losses()
        await island.run(dopplers.close)
        background.cancel_scope.cancel()


async def _subscribe(pool: Pool, subscribe: Callable[[], Awaitable[None]]) -> None:
    """Begin to read when there is a drain: before that it would cost, and help nobody. Once closed it stays closed."""
    await pool.wanted.wait()
    await subscribe()


async def _keep_telling(pool: Pool, interval_s: float) -> None:
    while True:
        await trio.sleep(interval_s)
        pool.tell_losses()


def _warner(island: Island, outbox: SharedDiode, *, agent: bool) -> Callable[[str, str], None]:
    """Return what tells the owner of an app something in the app's own stream, if there is an agent to do it."""

    def warn(source_id: str, text: str) -> None:
        if agent:
            island.post(outbox.put, notice(source_id, text, time.time_ns()))

    return warn


def _drain_settings(config: Config, delivering: trio.Nursery, warn: Callable[[str, str], None]) -> DrainSettings:
    return DrainSettings(
        open_writer=partial(open_writer, settings=config.writing, addresses=Addresses(_blacklist(config))),
        waits=waits,
        spawn=delivering.start_soon,
        warn=warn,
        capacity=config.diode_capacity,
        capacity_bytes=config.diode_bytes,
        idle_s=config.idle_s,
        batches=Together(config.writing.batch_max_bytes, config.writing.batch_linger_s),
        spool_dir=config.spool_dir,
        spool_max_bytes=config.spool_max_bytes,
    )


def _keeper(config: Config, pool: Pool, warn: Callable[[str, str], None]) -> Keeper:
    validator = Validator(resolve_host, trio.current_time, _blacklist(config))
    say = warn if config.warn_on_invalid_drains else _say_nothing
    return Keeper(_sources(config), validator, pool.apply, say, per_source=config.drains_per_source)


def _blacklist(config: Config) -> list[IpRange]:
    return [parse_range(each) for each in config.blacklisted_ranges]


def _say_nothing(*_: str) -> None:
    """Tell nobody."""


def _sources(config: Config) -> list[BindingSource]:
    """Open none of them yet; the certificate that is shown to a Cloud Controller is this component's."""
    capi, sources = config.capi, list[BindingSource]()
    if config.bindings_file:
        sources.append(FileBindings(config.bindings_file, config.file_interval_s))
    if config.drains_dir:
        sources.append(StoreBindings(config.drains_dir, config.file_interval_s))
    if capi.url:
        trusting = client_context(capi.ca or config.tls_ca, config.tls_cert, config.tls_key)
        sources.append(
            CapiBindings(
                capi.url,
                trusting,
                batch_size=capi.batch_size,
                interval_s=capi.interval_s,
                timeout_s=capi.timeout_s,
            )
        )
    return sources
