"""Index envelopes in Elasticsearch, or in OpenSearch.

In:    batches of any kind of envelope.
Out:   POST /_bulk, a `create` for each envelope, into an index or a data stream.
Drops: documents that are refused, because they do not fit the mapping for instance, counted. One that we may not write
       (401, 403) is no loss: it is tried again until somebody has mended that.

Exactly once, with a spool: a document's `_id` is the id of its batch and its place in it, and what is there already is
not written twice, also after a crash. (A data stream knows only the ids of its newest backing index: a batch that comes
again after a rollover may be there twice.) A batch without an id, for want of a spool, is delivered at least once,
under ids that the sink makes.

A document has `@timestamp`, `source_id`, `instance_id`, `labels` (the tags; a full stop in a key becomes `_`), and
`message` with `log_type` of a log, else `counter`, `gauge`, `timer` or `event`. A number that is not finite is null.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import AfterValidator, Field

from envelope.pb.loggregator_v2_pb2 import Envelope, Log
from nozzles.http_sink import (
    AUTHORIZATION,
    HttpSettings,
    HttpSink,
    Item,
    Outcome,
    SecretHeader,
    deliver,
    grouped,
    open_http,
)
from nozzles.sdk import Batch, NozzleKind, SinkUnavailable, Write

_ANSWER = {"filter_path": "errors,items.*.status,items.*.error.type"}
"""All that is read of an answer: some 80 bytes for each document."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_S = 1_000_000_000
_MOST = (1 << 63) - 1  # what a field of type `long` holds
_THERE_ALREADY = 409
_BUSY = 429
_DENIED = (401, 403)
_LATER = (_BUSY, *_DENIED)


def _index_pattern(pattern: str) -> str:
    name = _EPOCH.strftime(pattern)
    if not name or name != name.lower() or set(name) & set('\\/*?"<>| ,#:') or name[0] in "-_+" or name in (".", ".."):
        raise ValueError('not the name of an index: lower case, none of \\ / * ? " < > | , # : and no - _ + in front')
    return pattern


class Config(HttpSettings):
    """The settings of an Elasticsearch; `url` is its scheme, host and port, and any path before `/_bulk`."""

    secret_headers: ClassVar = {**HttpSettings.secret_headers, "api_key_file": SecretHeader(AUTHORIZATION, "ApiKey")}

    index: Annotated[str, AfterValidator(_index_pattern)] = "logs-standpipe-default"
    """Index or data stream; `%Y`, `%m`, `%d`, `%H` stand for the day and hour (UTC) of each envelope."""

    pipeline: str = ""
    """Ingest pipeline; empty means the index's default."""

    max_documents: int = Field(default=2000, ge=1, le=10_000)
    """The most documents in one request."""

    api_key_file: Path | None = None
    """File of an API key, encoded as Elasticsearch shows it."""

    compression: Literal["none", "gzip"] = "gzip"
    """How bodies are compressed."""


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Give the `write` of an Elasticsearch."""
    query = {**_ANSWER, **({"pipeline": config.pipeline} if config.pipeline else {})}
    async with open_http(config) as sink:

        async def write(batch: Batch) -> None:
            items = (
                Item((index,), action(envelope, config.index, batch.id, index) + orjson.dumps(document(envelope)))
                for index, envelope in enumerate(batch)
            )
            groups = grouped(items, max_bytes=config.max_body_bytes, max_entries=config.max_documents)
            # A part of a batch would be counted from 0 again: with ids, all of it comes again and finds itself there.
            await deliver(batch, groups, lambda group: _send(sink, group, query), comes_whole=bool(batch.id))

        yield write


kind = NozzleKind(Config, open_nozzle, "exactly-once")


def action(envelope: Envelope, pattern: str, batch_id: str, index: int) -> bytes:
    """Make the line that says what is to be done with the document behind it."""
    time = _EPOCH + timedelta(seconds=envelope.timestamp // _NS_PER_S)
    create = {"_index": time.strftime(pattern)}
    if batch_id:
        create["_id"] = f"{batch_id}-{index}"
    return orjson.dumps({"create": create}) + b"\n"


def document(envelope: Envelope) -> dict[str, Any]:
    """Make a document of an envelope."""
    seconds, nanoseconds = divmod(envelope.timestamp, _NS_PER_S)
    time = _EPOCH + timedelta(seconds=seconds)
    return {
        "@timestamp": f"{time:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z",
        "source_id": envelope.source_id,
        "instance_id": envelope.instance_id,
        "labels": {_key(key): value for key, value in envelope.tags.items()},
        **_message(envelope),
    }


def _message(envelope: Envelope) -> dict[str, Any]:
    match envelope.WhichOneof("message"):
        case "log":
            log_type = "ERR" if envelope.log.type == Log.ERR else "OUT"
            return {"message": envelope.log.payload.decode(errors="replace"), "log_type": log_type}
        case "counter":
            counter = envelope.counter
            return {"counter": {"name": counter.name, "delta": counter.delta, "total": counter.total}}
        case "gauge":
            metrics = envelope.gauge.metrics.items()
            return {"gauge": {_key(name): {"value": _finite(one.value), "unit": one.unit} for name, one in metrics}}
        case "timer":
            timer = envelope.timer
            duration_ns = min(max(timer.stop - timer.start, -_MOST), _MOST)
            return {"timer": {"name": timer.name, "start_ns": timer.start, "duration_ns": duration_ns}}
        case "event":
            return {"event": {"title": envelope.event.title, "body": envelope.event.body}}
        case _:
            return {}


def _key(key: str) -> str:
    """Make a field's name that is neither empty nor a path: `a` and `a.b` could not both be there."""
    return key.replace(".", "_") or "_"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


async def _send(sink: HttpSink, group: Sequence[Item], query: Mapping[str, str]) -> Outcome:
    body = b"".join(item.data + b"\n" for item in group)
    response = await sink.post(body, path="/_bulk", content_type="application/x-ndjson", query=query)
    try:
        answer = orjson.loads(response.content)
        if not answer["errors"]:
            return Outcome()
        answers = [(int(one["create"]["status"]), one["create"].get("error")) for one in answer["items"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SinkUnavailable(f"an answer that makes no sense: {sink.say(response.content)}") from error
    if len(answers) != len(group):
        raise SinkUnavailable(f"an answer about {len(answers)} documents of {len(group)}")
    return _judged(sink, group, answers)


def _judged(sink: HttpSink, group: Sequence[Item], answers: Sequence[tuple[int, Any]]) -> Outcome:
    """Say what became of each document by its status, and its error if it has one."""
    left = [item for item, (status, _) in zip(group, answers, strict=True) if status in _LATER or status >= 500]
    refused = sum(400 <= status < 500 and status not in (_THERE_ALREADY, *_LATER) for status, _ in answers)
    denials = [f"status {status} for a document: {error}" for status, error in answers if status in _DENIED]
    trouble = sink.denied(sink.say(denials[0].encode())) if denials else None
    return Outcome({"refused": refused} if refused else {}, left=left, trouble=trouble)
