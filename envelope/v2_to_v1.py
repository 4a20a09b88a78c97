"""Convert v2 envelopes to v1 (loggregator.md 2.6).

Serialise the result with `SerializePartialToString`. For a method or peer type it does not know the original sends 0,
which is not among their enums' numbers and so stays an unknown field here. No required field is really missing: a v2
envelope that would leave one unset has no v1 form.
"""

from collections.abc import Iterator

from envelope import uuids
from envelope.deprecated_tags import text_of
from envelope.framing import varint
from envelope.numbers_as_text import INT32, UINT64, fixed, integer, truncated
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2

V1Envelope = v1.Envelope
V1Type = v1.Envelope.EventType

BASE_TAGS = ("origin", "deployment", "job", "index", "ip")
CONTAINER_METRICS = ("cpu", "memory", "disk", "memory_quota", "disk_quota")
HTTP_TAGS = (
    "request_id",
    "peer_type",
    "method",
    "uri",
    "remote_address",
    "user_agent",
    "status_code",
    "content_length",
    "routing_instance_id",
    "forwarded",
)

_PEER_TYPES = dict(v1.PeerType.items())
_METHODS = dict(v1.Method.items())

# Tags of fields set through the wire, where Python's setters are narrower than the format.
_ERROR_MESSAGE = b"\x1a"
_HTTP_PEER_TYPE = b"\x20"
_HTTP_METHOD = b"\x28"


def to_v1(envelope: v2.Envelope) -> list[v1.Envelope]:
    """Return what v1 says in place of this envelope: one v1 envelope, one per metric of a gauge, or none at all.

    Each metric of a gauge repeats its tags; `envelope.v1_bounds` says beforehand how much that may be.
    """
    return list(v1_forms(envelope))


def v1_forms(envelope: v2.Envelope) -> Iterator[v1.Envelope]:
    """Give what `to_v1` returns, each made when it is asked for."""
    match envelope.WhichOneof("message"):
        case "log" if _tag(envelope, "__v1_type") == "Error":
            yield _error(envelope)
        case "log":
            yield _log_message(envelope)
        case "counter":
            yield _counter_event(envelope)
        case "gauge" if is_container_metric(envelope.gauge):
            yield _container_metric(envelope)
        case "gauge":
            yield from _value_metrics(envelope)
        case "timer":
            yield from _http_start_stop(envelope)


def _base(envelope: v2.Envelope, event_type: v1.Envelope.EventType, *spent: str) -> v1.Envelope:
    """Start a v1 envelope from what all types share; `spent` tags are said elsewhere in it."""
    tags = dict(envelope.tags)
    for key, value in envelope.deprecated_tags.items():
        if (text := text_of(value, decimal=fixed)) is not None:
            tags[key] = text
    if envelope.source_id:
        tags["source_id"] = envelope.source_id
    for key in ("__v1_type", *BASE_TAGS, *spent):
        tags.pop(key, None)
    base = {name: _tag(envelope, name) for name in BASE_TAGS}
    return v1.Envelope(eventType=event_type, timestamp=envelope.timestamp, tags=tags, **base)


def _tag(envelope: v2.Envelope, key: str) -> str:
    """Read a tag, the preferred map first; "" when neither has it."""
    if key in envelope.tags:
        return envelope.tags[key]
    if key in envelope.deprecated_tags:
        return text_of(envelope.deprecated_tags[key], decimal=fixed) or ""
    return ""


def _log_message(envelope: v2.Envelope) -> v1.Envelope:
    result = _base(envelope, V1Type.LogMessage, "source_type")
    log: v1.LogMessage = result.logMessage
    log.message = envelope.log.payload
    log.message_type = v1.LogMessage.OUT if envelope.log.type == v2.Log.OUT else v1.LogMessage.ERR
    log.timestamp = envelope.timestamp
    log.app_id = envelope.source_id
    log.source_type = _tag(envelope, "source_type")
    log.source_instance = envelope.instance_id
    return result


def _error(envelope: v2.Envelope) -> v1.Envelope:
    result = _base(envelope, V1Type.Error, "source", "code")
    error: v1.Error = result.error
    error.source = _tag(envelope, "source")
    error.code = integer(_tag(envelope, "code"), INT32)
    payload = envelope.log.payload  # need not be UTF-8; v1 text is whatever bytes were sent
    error.MergeFromString(_ERROR_MESSAGE + varint(len(payload)) + payload)
    return result


def _counter_event(envelope: v2.Envelope) -> v1.Envelope:
    result = _with_instance_id(_base(envelope, V1Type.CounterEvent), envelope)
    counter: v1.CounterEvent = result.counterEvent
    counter.name = envelope.counter.name
    counter.delta = envelope.counter.delta
    counter.total = envelope.counter.total
    return result


def _value_metrics(envelope: v2.Envelope) -> Iterator[v1.Envelope]:
    base = _with_instance_id(_base(envelope, V1Type.ValueMetric), envelope)
    for name, gauge_value in envelope.gauge.metrics.items():
        result = v1.Envelope()
        result.CopyFrom(base)
        metric: v1.ValueMetric = result.valueMetric
        metric.name = name
        metric.value = gauge_value.value
        metric.unit = gauge_value.unit
        yield result


def _with_instance_id(result: v1.Envelope, envelope: v2.Envelope) -> v1.Envelope:
    if envelope.instance_id:
        result.tags["instance_id"] = envelope.instance_id
    return result


def is_container_metric(gauge: v2.Gauge) -> bool:
    """Tell a gauge that has all five metrics of a container, each with a unit or a value."""
    metrics = gauge.metrics
    return all(name in metrics and (metrics[name].unit or metrics[name].value != 0) for name in CONTAINER_METRICS)


def _container_metric(envelope: v2.Envelope) -> v1.Envelope:
    result = _base(envelope, V1Type.ContainerMetric)
    metrics = envelope.gauge.metrics
    container: v1.ContainerMetric = result.containerMetric
    container.applicationId = envelope.source_id
    container.instanceIndex = _instance_index(envelope)
    container.cpuPercentage = metrics["cpu"].value
    container.memoryBytes = truncated(metrics["memory"].value, UINT64)
    container.diskBytes = truncated(metrics["disk"].value, UINT64)
    container.memoryBytesQuota = truncated(metrics["memory_quota"].value, UINT64)
    container.diskBytesQuota = truncated(metrics["disk_quota"].value, UINT64)
    return result


def _instance_index(envelope: v2.Envelope) -> int:
    if "instance_index" in envelope.gauge.metrics:
        return truncated(envelope.gauge.metrics["instance_index"].value, INT32)
    return integer(envelope.instance_id, INT32)


def _http_start_stop(envelope: v2.Envelope) -> Iterator[v1.Envelope]:
    """Convert a timer: the one kind that may lack what v1 requires, the request's id."""
    request_id = uuids.parse(_tag(envelope, "request_id"))
    if request_id is None:
        return
    result = _base(envelope, V1Type.HttpStartStop, *HTTP_TAGS)
    http: v1.HttpStartStop = result.httpStartStop
    http.startTimestamp = envelope.timer.start
    http.stopTimestamp = envelope.timer.stop
    http.requestId.low, http.requestId.high = request_id
    if (application_id := uuids.parse(envelope.source_id)) is not None:
        http.applicationId.low, http.applicationId.high = application_id
    peer_type = _PEER_TYPES.get(_tag(envelope, "peer_type"), 0)
    method = _METHODS.get(_tag(envelope, "method"), 0)
    http.MergeFromString(_HTTP_PEER_TYPE + varint(peer_type) + _HTTP_METHOD + varint(method))
    http.uri = _tag(envelope, "uri")
    http.remoteAddress = _tag(envelope, "remote_address")
    http.userAgent = _tag(envelope, "user_agent")
    http.statusCode = integer(_tag(envelope, "status_code"), INT32)
    http.contentLength = integer(_tag(envelope, "content_length"))
    http.instanceIndex = integer(envelope.instance_id, INT32)
    http.instanceId = _tag(envelope, "routing_instance_id")
    http.forwarded.extend(_tag(envelope, "forwarded").split("\n"))
    yield result
