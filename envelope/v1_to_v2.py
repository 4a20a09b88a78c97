"""Convert v1 envelopes to v2 (loggregator.md 2.5).

More may arrive than Python's v1 classes admit, and none of it is refused. Text that is not UTF-8, which v2 cannot
carry, gets replacement characters; a tag whose very name is not UTF-8 is left out. A number that its enum does not
have (the original sends 0 for a peer type or a method it does not know) reads as that number, as the original prints
it. What v1 requires but the envelope lacks reads as protobuf's default.
"""

from collections.abc import Iterable

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from envelope import uuids
from envelope.errors import DecodeError
from envelope.framing import frame
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v1_required import read_v1
from envelope.wire import WireType

Tags = dict[str, str]


def to_v2(envelope: v1.Envelope, preferred: bool = True) -> v2.Envelope:
    """Return the v2 form, its tags in `tags` when preferred, else as text in `deprecated_tags`.

    An event type that v1 does not define leaves the envelope without a message.
    """
    event_type = _enum_text(envelope, "eventType", v1.Envelope.EventType)
    tags = _tags(envelope)
    source_id = tags.pop("source_id", None)
    tags |= {
        "origin": _text(envelope.origin),
        "deployment": _text(envelope.deployment),
        "job": _text(envelope.job),
        "index": _text(envelope.index),
        "ip": _text(envelope.ip),
        "__v1_type": event_type,
    }
    if source_id is None:
        source_id = f"{tags['deployment']}/{tags['job']}"
    result = v2.Envelope(timestamp=envelope.timestamp, source_id=source_id)
    match event_type:
        case "LogMessage":
            _log_message(envelope.logMessage, result, tags)
        case "HttpStartStop":
            _http_start_stop(envelope.httpStartStop, result, tags)
        case "ValueMetric":
            _value_metric(envelope.valueMetric, result, tags)
        case "CounterEvent":
            _counter_event(envelope.counterEvent, result, tags)
        case "ContainerMetric":
            _container_metric(envelope.containerMetric, result)
        case "Error":
            _error(envelope.error, result, tags)
    if preferred:
        result.tags.update(tags)
    else:
        for key, text in tags.items():
            result.deprecated_tags[key].text = text
    return result


def to_v2_batch(messages: Iterable[bytes]) -> tuple[bytes, int]:
    """Make one v2 batch of serialised v1 envelopes from outside; returns it, and how many messages were none."""
    converted: list[bytes] = []
    malformed = 0
    for message in messages:
        try:
            converted.append(frame(to_v2(read_v1(message)).SerializeToString(deterministic=True)))
        except DecodeError:
            malformed += 1
    return b"".join(converted), malformed


def _log_message(log: v1.LogMessage, result: v2.Envelope, tags: Tags) -> None:
    tags["source_type"] = _text(log.source_type)
    result.source_id = _text(log.app_id) or result.source_id
    result.instance_id = _text(log.source_instance)
    result.log.payload = log.message
    result.log.type = v2.Log.ERR if log.message_type == v1.LogMessage.ERR else v2.Log.OUT


def _http_start_stop(http: v1.HttpStartStop, result: v2.Envelope, tags: Tags) -> None:
    if http.applicationId.low or http.applicationId.high:
        result.source_id = uuids.text_of(http.applicationId.low, http.applicationId.high)
    result.instance_id = str(http.instanceIndex)
    result.timer.name = "http"
    result.timer.start = http.startTimestamp
    result.timer.stop = http.stopTimestamp
    tags |= {
        "request_id": uuids.text_of(http.requestId.low, http.requestId.high),
        "peer_type": _enum_text(http, "peerType", v1.PeerType),
        "method": _enum_text(http, "method", v1.Method),
        "uri": _text(http.uri),
        "remote_address": _text(http.remoteAddress),
        "user_agent": _text(http.userAgent),
        "status_code": str(http.statusCode),
        "content_length": str(http.contentLength),
        "routing_instance_id": _text(http.instanceId),
        "forwarded": "\n".join(map(_text, http.forwarded)),
    }


def _value_metric(metric: v1.ValueMetric, result: v2.Envelope, tags: Tags) -> None:
    result.instance_id = tags.get("instance_id", "")
    _set_metric(result.gauge, _text(metric.name), _text(metric.unit), metric.value)


def _counter_event(counter: v1.CounterEvent, result: v2.Envelope, tags: Tags) -> None:
    result.instance_id = tags.pop("instance_id", "")
    result.counter.name = _text(counter.name)
    result.counter.delta = counter.delta
    result.counter.total = counter.total


def _container_metric(container: v1.ContainerMetric, result: v2.Envelope) -> None:
    result.source_id = _text(container.applicationId) or result.source_id
    result.instance_id = str(container.instanceIndex)
    _set_metric(result.gauge, "cpu", "percentage", container.cpuPercentage)
    _set_metric(result.gauge, "memory", "bytes", container.memoryBytes)
    _set_metric(result.gauge, "disk", "bytes", container.diskBytes)
    _set_metric(result.gauge, "memory_quota", "bytes", container.memoryBytesQuota)
    _set_metric(result.gauge, "disk_quota", "bytes", container.diskBytesQuota)


def _error(error: v1.Error, result: v2.Envelope, tags: Tags) -> None:
    message: str | bytes = error.message  # bytes when it is not UTF-8, and a payload need not be
    tags["source"] = _text(error.source)
    tags["code"] = str(error.code)
    result.log.payload = message.encode() if isinstance(message, str) else message
    result.log.type = v2.Log.OUT


def _set_metric(gauge: v2.Gauge, name: str, unit: str, value: float) -> None:
    gauge.metrics[name].unit = unit
    gauge.metrics[name].value = value


def _tags(envelope: v1.Envelope) -> Tags:
    """Copy the tags whose names are UTF-8: the others have a key of type bytes, by which no value can be asked for."""
    return {key: _text(envelope.tags[key]) for key in envelope.tags if isinstance(key, str)}


def _text(value: str | bytes) -> str:
    """Return text as text: protobuf's classes give v1 strings that are not UTF-8 as bytes."""
    return value if isinstance(value, str) else value.decode(errors="replace")


def _enum_text(message: Message, field: str, enum: EnumTypeWrapper) -> str:
    """Return the name of an enum field's value, or its number where the enum has no name for it.

    A number without a name is none of the field's values to protobuf, which keeps it as an unknown field.
    """
    if not message.HasField(field):
        number = message.DESCRIPTOR.fields_by_name[field].number
        unknown = UnknownFieldSet(message)
        for at in reversed(range(len(unknown))):
            if unknown[at].field_number == number and unknown[at].wire_type == WireType.VARINT:
                return str(_int32(unknown[at].data))
    return enum.Name(getattr(message, field))


def _int32(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31
