"""Send envelopes to Splunk's HTTP Event Collector.

In:    batches of any kind of envelope.
Out:   POST /services/collector/event, JSON objects one behind the other.
Drops: events that the collector finds invalid, and bodies it refuses, counted.

A log becomes an event whose text is its payload, an event envelope one of `title` and `body`; counters (their total),
gauges, and timers (milliseconds) become metrics. Skipped is what Splunk has no form for: blank lines, numbers that
are not finite, envelopes without a message.

At least once: what comes again is there twice. When one event of a request is invalid, the others are sent again
without it: those before it may then be there twice.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

import orjson

from envelope.pb.loggregator_v2_pb2 import Envelope, Log
from nozzles.http_sink import (
    AUTHORIZATION,
    HttpRefused,
    HttpSettings,
    HttpSink,
    Item,
    Outcome,
    SecretHeader,
    deliver,
    envelopes,
    grouped,
    open_http,
)
from nozzles.sdk import Batch, NozzleKind, Write

_PATH = "/services/collector/event"
_INCORRECT_INDEX = 7
_METRIC = "metric_name"
_NS_PER_MS = 1_000_000


class Config(HttpSettings):
    """The settings of a Splunk HTTP Event Collector; `url` is its scheme, host and port."""

    secret_headers: ClassVar = {"token_file": SecretHeader(AUTHORIZATION, "Splunk")}

    token_file: Path
    """File of the collector's token (mode 0600)."""

    index: str = ""
    """Index of events; empty means the token's default."""

    metrics_index: str = ""
    """Index of metrics; empty means the token's default."""

    metrics: bool = True
    """Whether counters, gauges and timers are sent."""

    source: str = ""
    """Source of everything; empty means each envelope's source_id."""

    sourcetype: str = "standpipe"
    """Source type of everything; empty means the token's default."""

    compression: Literal["none", "gzip"] = "gzip"
    """How bodies are compressed."""


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Give the `write` of a collector."""
    async with open_http(config) as sink:

        async def write(batch: Batch) -> None:
            kinds = (event_of, metric_of) if config.metrics else (event_of,)
            groups = chain.from_iterable(
                grouped(_items(batch, make, config), max_bytes=config.max_body_bytes) for make in kinds
            )
            await deliver(batch, groups, lambda group: _send(sink, group))

        yield write


kind = NozzleKind(Config, open_nozzle)


def event_of(envelope: Envelope, config: Config) -> dict[str, Any] | None:
    """Make an event of a log or an event envelope; None of anything else, and of a blank line."""
    fields: dict[str, Any] = dict(envelope.tags)
    event: object
    match envelope.WhichOneof("message"):
        case "log":
            event = envelope.log.payload.decode(errors="replace")
            fields["log_type"] = "ERR" if envelope.log.type == Log.ERR else "OUT"
        case "event":
            event = {"title": envelope.event.title, "body": envelope.event.body}
        case _:
            return None
    if isinstance(event, str) and not event.strip():
        return None
    return {**_head(envelope, config, config.index), "event": event, "fields": {**fields, **_origin(envelope)}}


def metric_of(envelope: Envelope, config: Config) -> dict[str, Any] | None:
    """Make a metric event of a counter, a gauge or a timer, with its tags as dimensions; None of anything else."""
    units: set[str] = set()
    match envelope.WhichOneof("message"):
        case "counter":
            values = {envelope.counter.name: float(envelope.counter.total)}
        case "gauge":
            values = {name: metric.value for name, metric in envelope.gauge.metrics.items()}
            units = {metric.unit for metric in envelope.gauge.metrics.values()}
        case "timer":
            values = {envelope.timer.name: (envelope.timer.stop - envelope.timer.start) / _NS_PER_MS}
            units = {"ms"}
        case _:
            return None
    metrics = {f"{_METRIC}:{name}": value for name, value in values.items() if name and math.isfinite(value)}
    if not metrics:
        return None
    dimensions = {key: value for key, value in envelope.tags.items() if key and not key.startswith(_METRIC)}
    if len(units) == 1:
        dimensions["unit"] = units.pop()
    fields = {**dimensions, **_origin(envelope), **metrics}
    return {**_head(envelope, config, config.metrics_index), "event": "metric", "fields": fields}


def _head(envelope: Envelope, config: Config, index: str) -> dict[str, Any]:
    head = {
        "host": envelope.instance_id,
        "source": config.source or envelope.source_id,
        "sourcetype": config.sourcetype,
        "index": index,
    }
    time_s = envelope.timestamp // _NS_PER_MS / 1000
    return {"time": time_s, **{key: value for key, value in head.items() if value}}


def _origin(envelope: Envelope) -> dict[str, str]:
    return {"source_id": envelope.source_id, "instance_id": envelope.instance_id}


def _items(batch: Batch, make: Callable[[Envelope, Config], dict[str, Any] | None], config: Config) -> list[Item]:
    made = ((index, make(envelope, config)) for index, envelope in enumerate(batch))
    return [Item((index,), orjson.dumps(event)) for index, event in made if event is not None]


async def _send(sink: HttpSink, group: Sequence[Item]) -> Outcome:
    body = b"\n".join(item.data for item in group)
    try:
        await sink.post(body, path=_PATH, content_type="application/json")
    except HttpRefused as error:
        invalid = _invalid_event(error)
        if invalid is None or invalid >= len(group):
            raise
        rest = [*group[:invalid], *group[invalid + 1 :]]
        return Outcome({"invalid": envelopes([group[invalid]])}, again=[rest] if rest else [])
    return Outcome()


def _invalid_event(error: HttpRefused) -> int | None:
    """Say which event of a request the collector found invalid, if it says so and it is not for its index."""
    try:
        answer = orjson.loads(error.answer)
        code, number = answer["code"], answer["invalid-event-number"]
    except (ValueError, KeyError, TypeError):
        return None
    return number if isinstance(number, int) and number >= 0 and code != _INCORRECT_INDEX else None
