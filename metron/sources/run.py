"""Run all the sources that one agent's settings name."""

from __future__ import annotations

import random
import time
from functools import partial
from pathlib import Path
from typing import Protocol

import trio

from metron.sources.checkpoints import Checkpoints
from metron.sources.config import FilesConfig, FileSource, HostMetrics, StdinSource
from metron.sources.counts import SourceCounts
from metron.sources.files import tail_files
from metron.sources.host_metrics import send_host_metrics
from metron.sources.outlet import Outlet
from metron.sources.prometheus import Prometheus, scrape_prometheus
from metron.sources.stdin import read_stdin

CHECKPOINT_FILE = "files.json"


class SourcesConfig(Protocol):
    """What of an agent's settings is about its sources."""

    @property
    def files(self) -> list[FileSource]:
        """Files to follow."""

    @property
    def stdin(self) -> StdinSource | None:
        """How standard input is read, if it is."""

    @property
    def host_metrics(self) -> HostMetrics:
        """Whether and how the machine's own metrics are read."""

    @property
    def prometheus(self) -> Prometheus:
        """Which Prometheus targets are scraped, and how."""

    @property
    def checkpoint_dir(self) -> Path | None:
        """Where the positions in followed files are kept; without it, every start begins anew."""


async def run_sources(
    config: SourcesConfig,
    outlet: Outlet,
    counts: SourceCounts,
    *,
    stop: trio.Event,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Read every source that is named until `stop` is set and what was read is sent; started once all are at work."""
    async with trio.open_nursery() as sources:
        if config.files:
            path = config.checkpoint_dir / CHECKPOINT_FILE if config.checkpoint_dir else None
            checkpoints = Checkpoints(path, counts, now_s=time.time)
            checkpoints.load()
            files = FilesConfig(sources=config.files)
            await sources.start(partial(tail_files, files, outlet, checkpoints, counts, stop=stop, now_ns=time.time_ns))
        if config.stdin:
            await sources.start(partial(read_stdin, config.stdin, outlet, counts, stop=stop, now_ns=time.time_ns))
        if config.host_metrics.enabled:
            await sources.start(
                partial(send_host_metrics, config.host_metrics, outlet, counts, stop=stop, now_ns=time.time_ns)
            )
        if config.prometheus.config_globs or config.prometheus.targets:
            scrape = partial(scrape_prometheus, config.prometheus, outlet, counts, rng=random.Random())
            await sources.start(partial(scrape, stop=stop, now_ns=time.time_ns))
        task_status.started()
