"""Wire the Prometheus nozzle together: samples into the table, the table to whoever scrapes.

In:    counters and gauges. Logs, timers and events have no samples and are skipped.
Out:   the latest value of each series, at `/metrics`.
Drops: the series that were updated longest ago, when there are too many: counted at `/metrics`.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
import trio

from nozzles.prometheus.config import Config
from nozzles.prometheus.scrapes import Scrapes
from nozzles.prometheus.table import Table
from nozzles.prometheus_series import samples
from nozzles.sdk import Batch, Write
from plumbing.config import join_listen, parse_listen
from plumbing.tls import TlsFiles, server_context

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Exporter:
    """A running one: where it is scraped, and what feeds it."""

    address: str
    write: Write


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Serve for the time of the block; its `write` never fails. Raises `OSError` when the address is not free."""
    async with open_exporter(config) as exporter:
        log.info("prometheus_listening", address=exporter.address, tls=not config.plaintext)
        yield exporter.write


@asynccontextmanager
async def open_exporter(config: Config) -> AsyncIterator[Exporter]:
    """Serve for the time of the block, and say where."""
    table = Table(max_series=config.max_series, expire_s=config.expire_s)
    scrapes = Scrapes(lambda: table.snapshot(trio.current_time()), _context(config), config.connections)
    host, port = parse_listen(config.listen)

    async def write(batch: Batch) -> None:
        now = trio.current_time()
        for envelope in batch:
            found = list(samples(envelope, config.series))
            for sample in found:
                table.put(sample, now)
            if not found:
                batch.skip(1)
        await trio.lowlevel.checkpoint()

    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"listen {config.listen}") from error
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, scrapes.converse, listeners)
        try:
            yield Exporter(join_listen(*listeners[0].socket.getsockname()[:2]), write)
        finally:
            nursery.cancel_scope.cancel()


def _context(config: Config) -> ssl.SSLContext | None:
    if config.tls_cert is None or config.tls_key is None:
        return None
    files = TlsFiles(ca=config.tls_client_ca or config.tls_cert, cert=config.tls_cert, key=config.tls_key)
    return server_context(files, require_client_cert=config.tls_client_ca is not None, alpn=["http/1.1"])
