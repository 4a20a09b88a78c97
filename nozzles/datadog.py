"""Send envelopes to Datadog.

In:    batches of any kind of envelope.
Out:   POST /api/v2/logs: logs, and events as logs of `title: body`. POST /api/v2/series: counters as counts (their
       deltas), gauges as gauges, timers as gauges of milliseconds or not at all.
Drops: bodies that are refused, counted.

Skipped is what Datadog has no form for: numbers that are not finite, metrics without a name, envelopes without a
message.

At least once: a log that comes again is there twice, a point takes its own place. Datadog cuts a log of more than 1 MB;
it is cut here before it travels. Of two points of a series within one second Datadog keeps the last: counts are added
up by second within a batch, so batches of some seconds count best.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import orjson
from pydantic import Field, StringConstraints

from envelope.pb.loggregator_v2_pb2 import Envelope, Log
from nozzles.http_sink import HttpSettings, HttpSink, HttpUrl, Item, SecretHeader, deliver, grouped, open_http
from nozzles.sdk import Batch, NozzleKind, Write

MAX_LOGS = 1000
MAX_LOG_BYTES = 1_000_000
MAX_LOGS_BYTES = 5_000_000
MAX_SERIES_BYTES = 512_000
"""Before compression: a body that keeps it then keeps Datadog's bounds on both sizes, 512 kB and 5 MB."""

_COUNT, _GAUGE = 1, 3
_NS_PER_S, _NS_PER_MS = 1_000_000_000, 1_000_000
_LOGS = (b"[", b"]")
_SERIES = (b'{"series":[', b"]}")


class Config(HttpSettings):
    """The settings of a Datadog account."""

    secret_headers: ClassVar = {**HttpSettings.secret_headers, "api_key_file": SecretHeader("DD-API-KEY")}

    site: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+$")] = "datadoghq.com"
    """Datadog's site that the account belongs to."""

    url: HttpUrl = ""
    """Where logs go, without `/api/v2/logs`; empty means the site's own address."""

    metrics_url: HttpUrl = ""
    """Where metrics go, without `/api/v2/series`; empty means the site's own address."""

    api_key_file: Path
    """File of the API key (mode 0600)."""

    ddsource: str = "standpipe"
    """Source of the logs."""

    ddtags: tuple[str, ...] = ()
    """Tags of everything, like `env:prod`, beside those of the envelopes."""

    hostname: str = ""
    """Host of everything; empty means each envelope's tag `ip`."""

    service: str = ""
    """Service of the logs; empty means each envelope's source_id."""

    metric_prefix: str = ""
    """What the names of metrics begin with."""

    timers: Literal["gauge", "none"] = "gauge"
    """What becomes of timers."""

    max_body_bytes: int = Field(default=4_000_000, ge=1024, le=MAX_LOGS_BYTES)
    """The largest body of logs, before compression; bodies of metrics have 512 kB at most."""

    compression: Literal["none", "gzip", "zstd"] = "gzip"
    """How bodies are compressed."""


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Give the `write` of a Datadog account."""
    to_logs = config.model_copy(update={"url": config.url or f"https://http-intake.logs.{config.site}"})
    to_series = config.model_copy(update={"url": config.metrics_url or f"https://api.{config.site}"})
    async with open_http(to_logs) as logs, open_http(to_series) as series:

        async def write(batch: Batch) -> None:
            lines = log_items(batch, config)
            of_logs = {item.indexes[0] for item in lines}
            max_bytes = min(config.max_body_bytes, MAX_SERIES_BYTES) - len(_SERIES[0] + _SERIES[1])
            groups = chain(
                grouped(lines, max_bytes=config.max_body_bytes - len(_LOGS[0] + _LOGS[1]), max_entries=MAX_LOGS),
                grouped(series_items(batch, config), max_bytes=max_bytes),
            )

            async def send(group: Sequence[Item]) -> None:
                if group[0].indexes[0] in of_logs:
                    await _post(logs, "/api/v2/logs", _LOGS, group)
                else:
                    await _post(series, "/api/v2/series", _SERIES, group)

            await deliver(batch, groups, send)

        yield write


kind = NozzleKind(Config, open_nozzle)


def log_items(batch: Batch, config: Config) -> list[Item]:
    """Make an entry of each log and each event."""
    made = ((index, _log(envelope, config)) for index, envelope in enumerate(batch))
    return [Item((index,), orjson.dumps(entry)) for index, entry in made if entry is not None]


def series_items(batch: Batch, config: Config) -> list[Item]:
    """Make series of gauges and timers, each of its own, and of counters, those of one series and second together."""
    items: list[Item] = []
    counts: dict[_Count, tuple[list[int], int]] = {}
    for index, envelope in enumerate(batch):
        if envelope.WhichOneof("message") == "counter":
            if envelope.counter.name:
                key = _count(envelope, config)
                indexes, sum_so_far = counts.get(key, ([], 0))
                indexes.append(index)
                counts[key] = (indexes, sum_so_far + envelope.counter.delta)
            continue
        series = [orjson.dumps(one) for one in _gauges(envelope, config)]
        if series:
            items.append(Item((index,), b",".join(series), len(series)))
    for key, (indexes, delta) in counts.items():
        one = _series(config.metric_prefix + key.name, _COUNT, key.time_s, float(delta), key.tags, key.host)
        items.append(Item(tuple(indexes), orjson.dumps(one)))
    return items


class _Count(NamedTuple):
    """What counts of one point have in common."""

    name: str
    time_s: int
    tags: tuple[str, ...]
    host: str


def _log(envelope: Envelope, config: Config) -> dict[str, Any] | None:
    match envelope.WhichOneof("message"):
        case "log":
            message = envelope.log.payload[:MAX_LOG_BYTES].decode(errors="replace")
            status = "error" if envelope.log.type == Log.ERR else "info"
        case "event":
            message = f"{envelope.event.title}: {envelope.event.body}"[:MAX_LOG_BYTES]
            status = "info"
        case _:
            return None
    entry = {
        "message": message,
        "status": status,
        "timestamp": envelope.timestamp // _NS_PER_MS,
        "ddsource": config.ddsource,
        "ddtags": ",".join(_tags(envelope, config)),
        "hostname": _host(envelope, config),
        "service": config.service or envelope.source_id,
    }
    return {key: value for key, value in entry.items() if value != ""}


def _gauges(envelope: Envelope, config: Config) -> list[dict[str, Any]]:
    match envelope.WhichOneof("message"):
        case "gauge":
            metrics = {name: (metric.value, metric.unit) for name, metric in envelope.gauge.metrics.items()}
        case "timer" if config.timers == "gauge":
            took_ms = (envelope.timer.stop - envelope.timer.start) / _NS_PER_MS
            metrics = {envelope.timer.name: (took_ms, "millisecond")}
        case _:
            return []
    tags, host = _tags(envelope, config), _host(envelope, config)
    time_s = envelope.timestamp // _NS_PER_S
    return [
        _series(config.metric_prefix + name, _GAUGE, time_s, value, tags, host, unit)
        for name, (value, unit) in metrics.items()
        if name and math.isfinite(value)
    ]


def _count(envelope: Envelope, config: Config) -> _Count:
    time_s = envelope.timestamp // _NS_PER_S
    return _Count(envelope.counter.name, time_s, _tags(envelope, config), _host(envelope, config))


def _series(
    name: str, kind_of: int, time_s: int, value: float, tags: tuple[str, ...], host: str, unit: str = ""
) -> dict[str, Any]:
    series: dict[str, Any] = {"metric": name, "type": kind_of, "points": [{"timestamp": time_s, "value": value}]}
    if host:
        series["resources"] = [{"name": host, "type": "host"}]
    if unit:
        series["unit"] = unit
    return {**series, "tags": tags}


def _tags(envelope: Envelope, config: Config) -> tuple[str, ...]:
    """Write tags as Datadog does; a comma would end one."""
    tags = {**envelope.tags, "source_id": envelope.source_id, "instance_id": envelope.instance_id}
    written = (f"{key}:{value}".replace(",", "_") for key, value in sorted(tags.items()) if key and value)
    return (*config.ddtags, *written)


def _host(envelope: Envelope, config: Config) -> str:
    return config.hostname or envelope.tags.get("ip", "")


async def _post(sink: HttpSink, path: str, frame: tuple[bytes, bytes], group: Sequence[Item]) -> None:
    body = frame[0] + b",".join(item.data for item in group) + frame[1]
    await sink.post(body, path=path, content_type="application/json")
