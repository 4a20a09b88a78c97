"""Show one v1 envelope: as an object for programs, as a line for people. No I/O, no clock.

The objects speak of envelopes as v2 does: origin, deployment and the like are tags, an HttpStartStop is a timer.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import orjson
from google.protobuf.message import DecodeError as ProtobufError

from envelope import uuids
from envelope.errors import DecodeError
from envelope.pb import dropsonde_pb2 as v1
from standpipe.units import bytes_text, count_text, duration_text

Record: TypeAlias = dict[str, Any]
"""One envelope as an object: timestamp, source_id, instance_id, type, tags, and what that type has of its own."""

_BASE_TAGS = ("origin", "deployment", "job", "index", "ip")
_V1Type = v1.Envelope.EventType
_WHO_WIDTH = 20
_KIND_WIDTH = 9
SERVER_ERRORS = 500

# What could move the cursor, end the line or turn the text around: C0 without the tab, DEL, C1, separators of lines,
# marks of direction.
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Palette:
    """The escape sequences that colour a line; empty where there are to be none."""

    faint: str = ""
    source: str = ""
    alarm: str = ""
    notice: str = ""
    end: str = ""


PLAIN = Palette()
COLOURED = Palette(faint="\x1b[2m", source="\x1b[36m", alarm="\x1b[31m", notice="\x1b[1;33m", end="\x1b[0m")


def json_line(payload: bytes) -> bytes:
    """Write a serialised v1 envelope as one line of JSON; `DecodeError` if it is none."""
    return orjson.dumps(to_record(payload), option=orjson.OPT_APPEND_NEWLINE)


def to_record(payload: bytes) -> Record:
    """Turn a serialised v1 envelope into an object; `DecodeError` if it is none."""
    try:
        envelope = v1.Envelope.FromString(payload)
        tags = dict(envelope.tags)
    except (ProtobufError, UnicodeDecodeError) as error:
        raise DecodeError(f"not a v1 envelope: {error}") from error
    describe = _DESCRIBE.get(envelope.eventType) if envelope.HasField("eventType") else None
    if describe is None:
        raise DecodeError("not a v1 envelope: it has no event type")
    source_id, instance_id = tags.pop("source_id", "") or _unlabelled_source(envelope), tags.pop("instance_id", "")
    for key in _BASE_TAGS:
        if value := getattr(envelope, key):
            tags.setdefault(key, _text(value))
    record = {
        "timestamp": envelope.timestamp,
        "source_id": source_id,
        "instance_id": instance_id,
        "type": "",
        "tags": tags,
    }
    describe(envelope, record)
    return record


def source_of(envelope: v1.Envelope) -> str:
    """Tell who sent an envelope: its tag source_id, else what its type calls the sender (loggregator.md 2.5)."""
    return envelope.tags.get("source_id") or _unlabelled_source(envelope)


def missed(record: Mapping[str, Any]) -> int:
    """Return how many envelopes this one says were dropped for its reader; 0 if it says nothing of the kind."""
    if record["type"] != "counter" or record["name"] != "dropped" or record["source_id"] != "doppler":
        return 0
    return int(record["delta"]) if record["tags"].get("direction") == "egress" else 0


def line(record: Mapping[str, Any], palette: Palette = PLAIN) -> str:
    """Write an envelope as one line without its end; nothing in it can move a terminal's cursor."""
    if dropped := missed(record):
        text = "1 envelope was" if dropped == 1 else f"{count_text(dropped)} envelopes were"
        return f"{palette.notice}— {text} dropped for this reader —{palette.end}"
    text, alarming = _SAY[record["type"]](record)
    return in_columns(record, f"{record['type']:<{_KIND_WIDTH}}", text, palette, alarming=alarming)


def in_columns(record: Mapping[str, Any], kind: str, text: str, palette: Palette, *, alarming: bool = False) -> str:
    """Write time, sender, kind and text side by side; `record` has a timestamp, a source_id and an instance_id."""
    who = f"{record['source_id']}/{record['instance_id']}" if record["instance_id"] else record["source_id"]
    text = f"{palette.alarm}{safe(text)}{palette.end}" if alarming else safe(text)
    return (
        f"{palette.faint}{_clock(record['timestamp'])}{palette.end} "
        f"{palette.source}{safe(who):<{_WHO_WIDTH}}{palette.end} "
        f"{palette.faint}{kind}{palette.end} {text}"
    )


def safe(text: str) -> str:
    r"""Write characters that a terminal would obey as `\x1b`, `\n` and so on."""
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _clock(timestamp: int) -> str:
    seconds, nanoseconds = divmod(timestamp, 10**9)
    return f"{_time_of_day(seconds)}.{nanoseconds // 10**6:03}"


@lru_cache(maxsize=64)
def _time_of_day(seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def _text(value: str | bytes) -> str:
    """Return a proto2 string; upb gives it as bytes when it is no UTF-8."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def _unlabelled_source(envelope: v1.Envelope) -> str:
    """Name a source that no tag names; the last resort, the origin, is one that loggregator.md 2.5 does not have."""
    log: v1.LogMessage = envelope.logMessage
    container: v1.ContainerMetric = envelope.containerMetric
    http: v1.HttpStartStop = envelope.httpStartStop
    if named := log.app_id or container.applicationId:
        return _text(named)
    if http.HasField("applicationId"):
        uuid: v1.UUID = http.applicationId
        return uuids.text_of(uuid.low, uuid.high)
    if envelope.deployment or envelope.job:
        return f"{_text(envelope.deployment)}/{_text(envelope.job)}"
    return _text(envelope.origin)


# --- what each type of v1 envelope has of its own ------------------------------------------------------------------


def _describe_log(envelope: v1.Envelope, record: Record) -> None:
    log: v1.LogMessage = envelope.logMessage
    record["type"] = "log"
    record["instance_id"] = _text(log.source_instance) or record["instance_id"]
    if log.source_type:
        record["tags"]["source_type"] = _text(log.source_type)
    record["stream"] = "OUT" if log.message_type == v1.LogMessage.OUT else "ERR"
    _describe_message(log.message, record)


def _describe_message(message: bytes | str, record: Record) -> None:
    """Put in a text as it is; if it is no UTF-8, readable and as it is."""
    if isinstance(message, str):
        record["message"] = message
        return
    try:
        record["message"] = message.decode()
    except UnicodeDecodeError:
        record["message"] = _text(message)
        record["message_base64"] = base64.b64encode(message).decode("ascii")


def _describe_counter(envelope: v1.Envelope, record: Record) -> None:
    counter: v1.CounterEvent = envelope.counterEvent
    record["type"] = "counter"
    record["name"] = _text(counter.name)
    record["delta"] = counter.delta
    record["total"] = counter.total if counter.HasField("total") else None


def _describe_gauge(envelope: v1.Envelope, record: Record) -> None:
    metric: v1.ValueMetric = envelope.valueMetric
    record["type"] = "gauge"
    record["name"] = _text(metric.name)
    record["value"] = metric.value
    record["unit"] = _text(metric.unit)


def _describe_timer(envelope: v1.Envelope, record: Record) -> None:
    http: v1.HttpStartStop = envelope.httpStartStop
    record["type"] = "timer"
    if http.HasField("instanceIndex"):
        record["instance_id"] = str(http.instanceIndex)
    if http.instanceId:
        record["tags"]["routing_instance_id"] = _text(http.instanceId)
    record["name"] = "http"
    record["start"] = http.startTimestamp
    record["stop"] = http.stopTimestamp
    # To protobuf, a number that the enum does not have is no field at all.
    record["method"] = v1.Method.Name(http.method) if http.HasField("method") else ""
    record["uri"] = _text(http.uri)
    record["status_code"] = http.statusCode
    record["content_length"] = http.contentLength
    record["peer_type"] = v1.PeerType.Name(http.peerType) if http.HasField("peerType") else ""
    record["remote_address"] = _text(http.remoteAddress)
    record["user_agent"] = _text(http.userAgent)
    record["request_id"] = uuids.text_of(http.requestId.low, http.requestId.high)
    record["forwarded"] = [_text(hop) for hop in http.forwarded if hop]


def _describe_container(envelope: v1.Envelope, record: Record) -> None:
    container: v1.ContainerMetric = envelope.containerMetric
    record["type"] = "container"
    record["instance_id"] = str(container.instanceIndex)
    record["cpu_percentage"] = container.cpuPercentage
    record["memory_bytes"] = container.memoryBytes
    record["memory_bytes_quota"] = container.memoryBytesQuota
    record["disk_bytes"] = container.diskBytes
    record["disk_bytes_quota"] = container.diskBytesQuota


def _describe_error(envelope: v1.Envelope, record: Record) -> None:
    error: v1.Error = envelope.error
    record["type"] = "error"
    record["source"] = _text(error.source)
    record["code"] = error.code
    _describe_message(error.message, record)


_DESCRIBE: Mapping[int, Callable[[v1.Envelope, Record], None]] = {
    _V1Type.LogMessage: _describe_log,
    _V1Type.CounterEvent: _describe_counter,
    _V1Type.ValueMetric: _describe_gauge,
    _V1Type.HttpStartStop: _describe_timer,
    _V1Type.ContainerMetric: _describe_container,
    _V1Type.Error: _describe_error,
}


# --- what a line says of it, and whether that is alarming ----------------------------------------------------------


def _say_log(record: Mapping[str, Any]) -> tuple[str, bool]:
    return f"{record['stream']} {record['message'].rstrip(_NEWLINES)}", record["stream"] == "ERR"


def _say_counter(record: Mapping[str, Any]) -> tuple[str, bool]:
    total = "" if record["total"] is None else f"={record['total']}"
    return f"{record['name']}{total} (+{record['delta']})", False


def _say_gauge(record: Mapping[str, Any]) -> tuple[str, bool]:
    return f"{record['name']}={record['value']:.15g} {record['unit']}".rstrip(), False


def _say_timer(record: Mapping[str, Any]) -> tuple[str, bool]:
    method, uri, status = record["method"] or "-", record["uri"] or "-", record["status_code"]
    return f"{method} {uri} {status} {duration_text(record['stop'] - record['start'])}", status >= SERVER_ERRORS


def _say_container(record: Mapping[str, Any]) -> tuple[str, bool]:
    used = [f"cpu={record['cpu_percentage']:.1f}%"]
    for what in ("memory", "disk"):
        quota = record[f"{what}_bytes_quota"]
        of_quota = f" of {bytes_text(quota)}" if quota else ""
        used.append(f"{what}={bytes_text(record[f'{what}_bytes'])}{of_quota}")
    return " ".join(used), False


def _say_error(record: Mapping[str, Any]) -> tuple[str, bool]:
    return f"{record['source']} code={record['code']} {record['message'].rstrip(_NEWLINES)}", True


_NEWLINES = "\r\n"
_SAY: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, bool]]] = {
    "log": _say_log,
    "counter": _say_counter,
    "gauge": _say_gauge,
    "timer": _say_timer,
    "container": _say_container,
    "error": _say_error,
}
