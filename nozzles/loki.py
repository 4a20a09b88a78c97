"""Push logs to Grafana Loki.

In:    batches of any kind of envelope.
Out:   POST /loki/api/v1/push, JSON. A stream is what has source_id, instance_id and tag `source_type` in common; the
       other tags go along as structured metadata.
Drops: lines that Loki refuses, too old or out of order for instance, counted.

Logs have a form, and events, as `title: body`. Counters, gauges and timers have none and are skipped.

At least once. Loki takes the same line twice for one, so that what comes again is there once as long as it keeps its
time and text. A request of several streams that is refused is tried again stream by stream; of a stream alone it says
how many lines it did not take.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Literal, NamedTuple

import orjson
from pydantic import Field, StringConstraints

from envelope.pb.loggregator_v2_pb2 import Envelope, Log
from nozzles.http_sink import (
    HttpRefused,
    HttpSettings,
    HttpSink,
    Item,
    Outcome,
    deliver,
    grouped,
    open_http,
)
from nozzles.sdk import Batch, NozzleKind, Write

_PATH = "/loki/api/v1/push"
_REFUSED = 400
_IGNORED = re.compile(rb"total ignored: (\d{1,9}) out of \d")
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
_FRAME_BYTES = len(b'{"stream":,"values":[]},')

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class Config(HttpSettings):
    """The settings of a Loki; `url` is its scheme, host and port, and any path before `/loki`."""

    tenant: Annotated[str, StringConstraints(pattern=r"^[!-~]*$")] = ""
    """Tenant that the logs belong to, header `X-Scope-OrgID`; empty means none."""

    labels: dict[LabelName, str] = Field(default={}, max_length=8)
    """More labels, the same for every stream."""

    structured_metadata: bool = True
    """Whether tags are sent; Loki before 3.0 does not take them unless told to."""

    compression: Literal["none", "gzip"] = "gzip"
    """How bodies are compressed."""


class Line(NamedTuple):
    """One line of a stream, whose labels are JSON."""

    stream: bytes
    timestamp: int
    entry: bytes


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Give the `write` of a Loki."""
    headers = {"X-Scope-OrgID": config.tenant} if config.tenant else {}
    async with open_http(config, headers=headers) as sink:

        async def write(batch: Batch) -> None:
            made = ((index, line_of(envelope, config)) for index, envelope in enumerate(batch))
            lines = {index: line for index, line in made if line is not None}
            items = (Item((index,), line.stream + line.entry) for index, line in lines.items())
            groups = grouped(items, max_bytes=config.max_body_bytes, between=_FRAME_BYTES)
            await deliver(batch, groups, lambda group: _send(sink, lines, group))

        yield write


kind = NozzleKind(Config, open_nozzle)


def line_of(envelope: Envelope, config: Config) -> Line | None:
    """Make a line of a log or an event; None of anything else."""
    tags = dict(envelope.tags)
    match envelope.WhichOneof("message"):
        case "log":
            text = envelope.log.payload.decode(errors="replace")
            metadata = {"log_type": "ERR" if envelope.log.type == Log.ERR else "OUT"}
        case "event":
            text = f"{envelope.event.title}: {envelope.event.body}"
            metadata = {}
        case _:
            return None
    labels = {
        **config.labels,
        "source_id": envelope.source_id,
        "instance_id": envelope.instance_id,
        "source_type": tags.pop("source_type", ""),
    }
    labels = {name: value for name, value in labels.items() if value} or {"source_id": "unknown"}
    metadata |= {_name(key): value for key, value in tags.items() if value}
    entry = [str(envelope.timestamp), text, *([metadata] if config.structured_metadata and metadata else [])]
    return Line(orjson.dumps(labels, option=orjson.OPT_SORT_KEYS), envelope.timestamp, orjson.dumps(entry))


def push_body(lines: Sequence[Line]) -> bytes:
    """Make the body of a push: the lines of each stream by time."""
    streams: dict[bytes, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.timestamp):
        streams.setdefault(line.stream, []).append(line)
    made = (
        b'{"stream":' + labels + b',"values":[' + b",".join(line.entry for line in stream) + b"]}"
        for labels, stream in streams.items()
    )
    return b'{"streams":[' + b",".join(made) + b"]}"


def _name(key: str) -> str:
    """Make a name that Loki takes of the key of a tag."""
    name = _NOT_IN_A_NAME.sub("_", key)
    return name if name and not name[0].isdigit() else f"_{name}"


async def _send(sink: HttpSink, lines: Mapping[int, Line], group: Sequence[Item]) -> Outcome:
    try:
        body = push_body([lines[index] for item in group for index in item.indexes])
        await sink.post(body, path=_PATH, content_type="application/json")
    except HttpRefused as error:
        if error.status != _REFUSED:
            raise
        streams: dict[bytes, list[Item]] = {}
        for item in group:
            streams.setdefault(lines[item.indexes[0]].stream, []).append(item)
        if len(streams) > 1:
            return Outcome(again=list(streams.values()))
        ignored = _IGNORED.search(error.answer)
        if ignored is None or int(ignored[1]) >= len(group):
            raise
        return Outcome({error.reason: int(ignored[1])})
    return Outcome()
