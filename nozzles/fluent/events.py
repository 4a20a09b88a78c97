"""Envelopes as events of the Forward protocol: a tag, a time and a flat record each. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]  # it ships no types

from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log

_MOST_SECONDS = 0xFFFFFFFF
_NS = 1_000_000_000


class Chunk(NamedTuple):
    """Events of one tag, packed one after the other, and the places of their envelopes in the batch."""

    tag: str
    entries: bytes
    places: list[int]


def chunks_of(batch: bytes, tag: str, max_bytes: int) -> list[Chunk]:
    """Pack a batch: events of one tag go together, in order, in chunks of `max_bytes` unless one alone is larger."""
    open_chunks: dict[str, tuple[bytearray, list[int]]] = {}
    full: list[Chunk] = []
    for place, envelope in enumerate(EnvelopeBatch.FromString(kernel.converge(batch, True)).batch):
        entry, name = _entry(envelope), tag_of(tag, envelope)
        packed, places = open_chunks.setdefault(name, (bytearray(), []))
        if packed and len(packed) + len(entry) > max_bytes:
            full.append(Chunk(name, bytes(packed), places))
            packed, places = open_chunks[name] = (bytearray(), [])
        packed += entry
        places.append(place)
    return full + [Chunk(name, bytes(packed), places) for name, (packed, places) in open_chunks.items()]


def tag_of(template: str, envelope: Envelope) -> str:
    """Fill in the template of a tag; a source_id adds no parts to it."""
    source = re.sub(r"[^A-Za-z0-9_-]", "_", envelope.source_id[:200]) or "_"
    return template.replace("<kind>", _kind(envelope)).replace("<source_id>", source)


def record_of(envelope: Envelope) -> dict[str, Any]:
    """Return what an event says: tags as `tags.<name>`, the metrics of a gauge as `metrics.<name>`, times in ns."""
    record = {"kind": _kind(envelope), "source_id": envelope.source_id, "instance_id": envelope.instance_id}
    return record | dict(_message(envelope)) | {f"tags.{name}": value for name, value in envelope.tags.items()}


def event_time(timestamp_ns: int) -> msgpack.ExtType | int:
    """Return a time as EventTime, or in whole seconds where that cannot tell it: before 1970, after 2106."""
    seconds, ns = divmod(timestamp_ns, _NS)
    return msgpack.ExtType(0, struct.pack(">II", seconds, ns)) if 0 <= seconds <= _MOST_SECONDS else seconds


def _entry(envelope: Envelope) -> bytes:
    packed: bytes = msgpack.packb([event_time(envelope.timestamp), record_of(envelope)])
    return packed


def _kind(envelope: Envelope) -> str:
    return envelope.WhichOneof("message") or "bare"


def _message(envelope: Envelope) -> Iterator[tuple[str, Any]]:
    match envelope.WhichOneof("message"):
        case "log":
            yield "message", envelope.log.payload.decode(errors="replace")
            yield "stream", "stderr" if envelope.log.type == Log.ERR else "stdout"
        case "counter":
            yield "name", envelope.counter.name
            yield "delta", envelope.counter.delta
            yield "total", envelope.counter.total
        case "gauge":
            for name, metric in envelope.gauge.metrics.items():
                yield f"metrics.{name}", metric.value
                yield f"units.{name}", metric.unit
        case "timer":
            yield "name", envelope.timer.name
            yield "start", envelope.timer.start
            yield "stop", envelope.timer.stop
        case "event":
            yield "title", envelope.event.title
            yield "body", envelope.event.body
