"""An envelope as JSON, as Go's protojson prints it with proto names and unpopulated fields (loggregator.md 2.1, 3.2).

Integers of 64 bits are text, bytes are base64, an enum number without a name is that number; of a oneof only the member
that is set appears, with all of its own fields. The text is one line by anyone's count: characters that some readers
take for the end of a line are escaped wherever they stand.
"""

from base64 import b64encode
from math import isfinite, isnan

import orjson

from envelope.pb import loggregator_v2_pb2 as v2

Json = dict[str, object]

_LINE_ENDS = {"\u0085": rb"\u0085", "\u2028": rb"\u2028", "\u2029": rb"\u2029"}


def to_json(envelope: v2.Envelope) -> bytes:
    """Write an envelope as one compact JSON object."""
    text = orjson.dumps(form(envelope))
    for character, escaped in _LINE_ENDS.items():
        text = text.replace(character.encode(), escaped)
    return text


def form(envelope: v2.Envelope) -> Json:
    """Return what the JSON of an envelope says, as dictionaries."""
    return {
        "timestamp": str(envelope.timestamp),
        "source_id": envelope.source_id,
        "instance_id": envelope.instance_id,
        "deprecated_tags": {key: _value(value) for key, value in envelope.deprecated_tags.items()},
        "tags": dict(envelope.tags),
        **_message(envelope),
    }


def _value(value: v2.Value) -> Json:
    match value.WhichOneof("data"):
        case "text":
            return {"text": value.text}
        case "integer":
            return {"integer": str(value.integer)}
        case "decimal":
            return {"decimal": _double(value.decimal)}
        case _:
            return {}


def _message(envelope: v2.Envelope) -> Json:
    match envelope.WhichOneof("message"):
        case "log":
            return {"log": _log(envelope.log)}
        case "counter":
            counter = envelope.counter
            return {"counter": {"name": counter.name, "delta": str(counter.delta), "total": str(counter.total)}}
        case "gauge":
            return {"gauge": {"metrics": {name: _metric(metric) for name, metric in envelope.gauge.metrics.items()}}}
        case "timer":
            timer = envelope.timer
            return {"timer": {"name": timer.name, "start": str(timer.start), "stop": str(timer.stop)}}
        case "event":
            return {"event": {"title": envelope.event.title, "body": envelope.event.body}}
        case _:
            return {}


def _log(log: v2.Log) -> Json:
    name = v2.Log.Type.Name(log.type) if log.type in v2.Log.Type.values() else int(log.type)
    return {"payload": b64encode(log.payload).decode(), "type": name}


def _metric(metric: v2.GaugeValue) -> Json:
    return {"unit": metric.unit, "value": _double(metric.value)}


def _double(value: float) -> float | str:
    """Return what stands for a double in JSON, whose numbers are all finite."""
    if isfinite(value):
        return value
    if isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
