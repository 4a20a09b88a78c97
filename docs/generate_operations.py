"""Write the tables of docs/operations.md and docs/nozzles.md: `.venv/bin/python -m docs.generate_operations`.

tests/unit/test_docs.py fails when a page is not what this would write.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import trio
import typer
from prometheus_client.metrics_core import Metric

import docs.nozzle_tables
import doppler.metrics
import event_store.clickhouse.metrics
import event_store.http.metrics
import event_store.metrics
import log_cache.metrics
import metron.metrics
import nozzles.metrics
import reverse_log_proxy.metrics
import syslog_adapter.metrics
import traffic_controller.metrics
from docs.marked_page import render, settings_table, table
from doppler.exchange import Exchange
from doppler.router import Router
from doppler.v1_router import V1Router
from event_store.clickhouse.shipper import Shipper
from event_store.http.service import Http
from event_store.storage import StoreStats
from event_store.storage.manifest import Gone
from event_store.upkeep import Upkeep
from event_store.writer import Writer
from log_cache.cache import Cache
from log_cache.intake import Intake
from log_cache.queries import Queries
from log_cache.reads import Reads
from log_cache.rest.config import RestSettings
from log_cache.rest.service import Rest
from log_cache.store import Store, StoreLimits
from metron.agent import Agent
from metron.sources import SourceCounts
from nozzles.config import Config as NozzleConfig
from nozzles.runner.delivery import Delivery
from plumbing.auth import AuthSettings
from plumbing.auth.local import OpenAuthority
from plumbing.backlog import Backlog
from plumbing.config import SettingRow, Settings, describe
from plumbing.diode import SharedDiode
from plumbing.egress_client import Dopplers
from plumbing.gathering.gathering import Gathering
from plumbing.gathering.intake import Intake as GatheredIntake
from plumbing.ingress_server import IngressCounts
from plumbing.metrics import Metrics
from plumbing.setting_rows import rows_of
from plumbing.tls import TlsFiles
from reverse_log_proxy.gateway import Gateway
from reverse_log_proxy.gateway.config import GatewaySettings
from reverse_log_proxy.readers import Readers as Subscribers
from standpipe.cli import app
from standpipe.supervisor.settings import TABLE, UpSettings
from syslog_adapter.bindings.keeper import Keeper
from syslog_adapter.dispatch import Dispatcher
from syslog_adapter.intake import Intake as AdapterIntake
from syslog_adapter.pool import Pool
from traffic_controller.http_errands import Errands
from traffic_controller.readers import Readers

_CONFIGS: Mapping[str, type[Settings]] = {
    "metron": metron.Config,
    "doppler": doppler.Config,
    "traffic_controller": traffic_controller.Config,
    "reverse_log_proxy": reverse_log_proxy.Config,
    "log_cache": log_cache.Config,
    "syslog_adapter": syslog_adapter.Config,
    "nozzles": NozzleConfig,
    "event_store": event_store.Config,
}
_NOWHERE = TlsFiles(ca=Path(), cert=Path(), key=Path())


def tables() -> dict[str, str]:
    """Write every table of the operations page: its name there, and its Markdown."""
    written = {f"settings {name}": settings_table(describe(config)) for name, config in _CONFIGS.items()}
    written[f"settings {TABLE}"] = settings_table(_settings_of_up())
    written |= {f"metrics {name}": _metrics(metrics) for name, metrics in metrics_by_room().items()}
    return written


def metrics_by_room() -> dict[str, list[Metric]]:
    """Give every metric of freshly made components; `every component` has those that all of them share."""
    everywhere = _families(Metrics("compiled"))
    shared = {family.name for family in everywhere}
    rooms = {
        "metron": _of_metron(),
        "doppler": _of_doppler(),
        "traffic_controller": _of_traffic_controller(),
        "reverse_log_proxy": _of_reverse_log_proxy(),
        "log_cache": _of_log_cache(),
        "syslog_adapter": _of_syslog_adapter(),
        "nozzles": _of_nozzles(),
        "event_store": _of_event_store(),
    }
    own = {name: [each for each in _families(metrics) if each.name not in shared] for name, metrics in rooms.items()}
    return {"every component": everywhere, **own}


def exposed_name(family: Metric) -> str:
    """Say what a metric is called where it is scraped: the library keeps a counter's name without its ending."""
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


def _settings_of_up() -> Iterator[SettingRow]:
    """Describe `[standpipe]`; its variables are those that the command has, which are fewer than its settings."""
    command = typer.main.get_command(app).commands["up"].load()  # type: ignore[attr-defined]  # a `Later` of a group
    variables = {option.name: option.envvar or "" for option in command.params}
    for row in rows_of(UpSettings, TABLE):
        yield row._replace(env=variables.get(row.name, ""))


def _metrics(families: Iterable[Metric]) -> str:
    header = ("metric", "type", "labels", "meaning")
    return table(header, (_metric(family) for family in families))


def _metric(family: Metric) -> Sequence[str]:
    labels = getattr(family, "_labelnames", ())
    return f"`{exposed_name(family)}`", family.type, ", ".join(f"`{each}`" for each in labels), family.documentation


def _families(metrics: Metrics) -> list[Metric]:
    async def collect() -> list[Metric]:
        return list(metrics.registry.collect())

    return trio.run(collect)  # some readings are of trio's clock


def _of_metron() -> Metrics:
    metrics = Metrics("compiled")
    metron.metrics.expose(metrics, Agent({}, SharedDiode(1, 1)), SourceCounts())
    return metrics


def _of_doppler() -> Metrics:
    metrics = Metrics("compiled")
    router = Router(lambda: SharedDiode(1, 1), linger_s=0, max_subscriptions=1, now_ns=lambda: 0, rng=random.Random(0))
    v1_router = V1Router(lambda: SharedDiode(1, 1), linger_s=0, places=router.places, now_ns=lambda: 0)
    doppler.metrics.expose(metrics, IngressCounts(), Exchange(router, v1_router))
    return metrics


def _of_traffic_controller() -> Metrics:
    metrics = Metrics("compiled")
    traffic_controller.metrics.expose(metrics, Readers())
    nobody = SimpleNamespace(connections=0, turned_away=0)
    traffic_controller.metrics.expose_doors(metrics, nobody, OpenAuthority().counts, Errands(None, ""), None)
    return metrics


def _of_reverse_log_proxy() -> Metrics:
    metrics = Metrics("compiled")
    dopplers = Dopplers((), _NOWHERE, random.Random(0))
    gateway = Gateway(GatewaySettings(), _NOWHERE, OpenAuthority(), dopplers, drain_grace_s=0)
    reverse_log_proxy.metrics.expose(metrics, Subscribers(dopplers, max_streams=1), dopplers, gateway)
    return metrics


def _of_log_cache() -> Metrics:
    metrics = Metrics("compiled")
    cache = Cache(Store(StoreLimits()), lambda: 0)
    reads = Reads(cache, incarnation=0, now_ns=lambda: 0, settle_ns=0, threads=1)
    queries = Queries(reads, now_ns=lambda: 0, timeout_s=1, at_once=1)
    rest = Rest(RestSettings(), _NOWHERE, OpenAuthority(), reads, queries, drain_grace_s=0)
    log_cache.metrics.expose(metrics, Intake(cache), cache, None, 1)
    dopplers = Dopplers((), _NOWHERE, random.Random(0))
    log_cache.metrics.expose_doors(metrics, reads, queries, cache, dopplers, rest)
    return metrics


def _of_syslog_adapter() -> Metrics:
    metrics = Metrics("compiled")
    dopplers = Dopplers((), _NOWHERE, random.Random(0))
    pool = Pool(Dispatcher(), None)
    keeper = Keeper([], None, None, None, per_source=1)
    syslog_adapter.metrics.expose(metrics, AdapterIntake(None, Dispatcher()), keeper, pool, dopplers)
    return metrics


def _of_nozzles() -> Metrics:
    metrics = Metrics("compiled")
    backlog = Backlog(None, memory_bytes=1, mode="when_slow")
    delivery = Delivery(backlog, None, sink="", backoff=None, write_timeout_s=1)
    dopplers = Dopplers((), _NOWHERE, random.Random(0))
    parts = nozzles.metrics.Parts(
        GatheredIntake(None, []), Gathering(None, None, backlog, None), backlog, delivery, dopplers
    )
    nozzles.metrics.expose(metrics, parts)
    return metrics


def _of_event_store() -> Metrics:
    metrics = Metrics("compiled")
    nothing = StoreStats(**{**dict.fromkeys(StoreStats.__slots__, 0), "gone": Gone()})
    upkeep = Upkeep(SimpleNamespace(stats=lambda: nothing))
    dopplers, gathering = Dopplers((), _NOWHERE, random.Random(0)), Gathering(None, None, None, None)
    writer = Writer(None, parse_fields=True)
    event_store.metrics.expose(
        metrics, event_store.metrics.Parts(GatheredIntake(None, []), dopplers, gathering, writer, upkeep)
    )
    nowhere = {f"tls_{file}": Path() for file in ("ca", "cert", "key")}
    config = event_store.Config(**nowhere, data_dir=Path(), auth=AuthSettings(mode="open"))
    event_store.http.metrics.expose(metrics, Http(config, None))
    event_store.clickhouse.metrics.expose(metrics, Shipper(None, None, None, config.clickhouse))
    return metrics


PAGES: Mapping[str, Callable[[], dict[str, str]]] = {
    "operations.md": tables,
    "nozzles.md": docs.nozzle_tables.tables,
}
"""What writes the tables of each page beside this file."""


if __name__ == "__main__":
    for name, write in PAGES.items():
        page = Path(__file__).with_name(name)
        page.write_text(render(page.read_text(encoding="utf-8"), write()), encoding="utf-8")
