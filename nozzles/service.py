"""Wire one nozzle together: the firehose in, a sink out.

In:    batches from every Doppler, one subscription, or the v1 firehose; what is in the spool from the last time.
Out:   batches to the sink, one at a time, in order, until each is safe.
Drops: the oldest in the spool when it is full; what the sink says it will never take. An arrival is confirmed when the
       batch it is in is on disk, delivered or dropped; until then it stays with its Doppler.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import trio

from nozzles.books import account
from nozzles.config import Config
from nozzles.found import load_kind
from nozzles.metrics import Parts, expose, make_self_metrics
from nozzles.runner.delivery import Delivery
from nozzles.runner.firehose import FirehoseSource
from nozzles.runner.journal import Journal, Journaled, marks_in
from nozzles.runner.source import Source, make_doppler_source
from nozzles.sdk import NozzleKind
from plumbing.admin import start_admin
from plumbing.agent_link import report_through_agent
from plumbing.backlog import Backlog, Mode
from plumbing.config import ConfigError
from plumbing.gathering.batcher import Batcher
from plumbing.gathering.confirmations import Confirmations, confirm_all
from plumbing.gathering.gathering import Gathering
from plumbing.grpc_client import Backoff
from plumbing.island import Island, open_island
from plumbing.ledger import Incarnation
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics
from plumbing.spool import Spool, SpoolBusy

log = structlog.get_logger(__name__)


async def serve(
    config: Config,
    *,
    kind: NozzleKind | None = None,
    stop: trio.Event,
    task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Deliver until `stop` is set, then what is held, within the grace; the rest stays on disk or with the Dopplers."""
    incarnation = Incarnation(f"nozzles.{config.name}")
    kind = kind or load_kind(config.kind or config.name)

    async with open_island() as island, _open_backlog(config, kind) as kept, trio.open_nursery() as background:
        source, backlog = _make_source(config, island, kept), kept.backlog
        parts = _assemble(config, kind, island, kept, source)
        metrics = Metrics()
        expose(metrics, parts)

        async def books() -> dict[str, Any]:
            sink = account(config.name, parts.gathering, backlog, parts.delivery.counts)
            return incarnation.book([await source.account(), sink])

        async with trio.open_nursery() as spilling:
            await spilling.start(backlog.run)
            async with trio.open_nursery() as flow:
                flow.start_soon(parts.delivery.run)
                flow.start_soon(_gather, parts.gathering, backlog)
                await source.open(flow)
                admin = await start_admin(background, config, metrics, books)
                report_through_agent(background, island, config, make_self_metrics(config.name, parts))
                task_status.started({"admin": admin})

                await stop.wait()
                flow.cancel_scope.deadline = trio.current_time() + config.drain_grace_s
                await source.stop()
                parts.gathering.close()
            spilling.cancel_scope.cancel()  # what is still held goes to disk, and is confirmed

        await source.close()
        background.cancel_scope.cancel()


async def _gather(gathering: Gathering, backlog: Backlog) -> None:
    await gathering.run()
    backlog.close()


def _make_source(config: Config, island: Island, kept: Kept) -> Source:
    known = kept.marks if kept.journal else None
    if config.source == "websocket":
        return FirehoseSource(config, known)
    return make_doppler_source(config, island, known)


def _assemble(config: Config, kind: NozzleKind, island: Island, kept: Kept, source: Source) -> Parts:
    backlog = kept.backlog
    batcher = Batcher(
        max_envelopes=config.batch_max_envelopes, max_bytes=config.batch_max_bytes, max_age_s=config.batch_max_age_s
    )
    delivery = Delivery(
        Journaled(backlog, kept.journal) if kept.journal else backlog,
        partial(kind.open, config.sink),
        sink=config.name,
        backoff=Backoff(random.Random(), first_s=config.retry_first_s, most_s=config.retry_most_s),
        write_timeout_s=config.write_timeout_s,
    )
    return Parts(
        intake=source.intake,
        gathering=Gathering(source.crossing, batcher, backlog, Confirmations(partial(island.post, confirm_all))),
        backlog=backlog,
        delivery=delivery,
        connections=source.connections,
    )


@dataclass(slots=True)
class Kept:
    """Where batches wait, and what is known of those of before, if they must not come twice."""

    backlog: Backlog
    journal: Journal | None = None
    marks: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def _open_backlog(config: Config, kind: NozzleKind) -> AsyncIterator[Kept]:
    """Open the spool, if there is to be one, and what stands in front of it."""
    directory = None if config.spool_mode == "off" else config.spool_dir
    exactly = kind.delivery == "exactly-once"
    always = directory is not None and (config.spool_mode == "always" or (config.spool_mode == "auto" and exactly))
    if exactly and not always:
        log.warning("delivers_at_least_once", reason="exactly once needs a spool_dir, and every batch in it")
    mode: Mode = "always" if always else "when_slow"
    if directory is None:
        yield Kept(Backlog(None, memory_bytes=config.memory_bytes, mode=mode))
        return
    spool = await _open_spool(config, directory)
    try:
        journal = Journal(directory / "delivered.marks") if exactly and always else None
        marks = await trio.to_thread.run_sync(_marks, journal, spool) if journal else []
        yield Kept(Backlog(spool, memory_bytes=config.memory_bytes, mode=mode), journal, marks)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(spool.close)


def _marks(journal: Journal, spool: Spool) -> list[bytes]:
    return [journal.read(), *marks_in(spool)]


async def _open_spool(config: Config, directory: Path) -> Spool:
    opened = partial(Spool.open, directory, max_bytes=config.spool_max_bytes, sync=config.spool_sync)
    try:
        return await trio.to_thread.run_sync(opened)
    except SpoolBusy as error:
        raise ConfigError(f"spool_dir {directory}: {error}") from error
