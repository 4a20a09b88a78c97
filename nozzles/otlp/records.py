"""What OTLP is told of an envelope: log records, metrics or a span (loggregator.md 1.2)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_ERROR, SEVERITY_NUMBER_INFO, LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE, Metric, NumberDataPoint, Sum
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge as OtlpGauge
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from envelope.pb.loggregator_v2_pb2 import Envelope, Log

_NO_ATTRIBUTES = frozenset(("__v1_type", "trace_id", "span_id"))
_MOST_INTEGER = (1 << 63) - 1
_MOST_TIME = (1 << 64) - 1
_TRACE_BYTES, _SPAN_BYTES = 16, 8


def log_record(envelope: Envelope) -> LogRecord | None:
    """Make the record of a log or an event; None of anything else."""
    record = LogRecord(time_unix_nano=_time(envelope.timestamp), observed_time_unix_nano=_time(envelope.timestamp))
    match envelope.WhichOneof("message"):
        case "log":
            failed = envelope.log.type == Log.ERR
            record.severity_number = SEVERITY_NUMBER_ERROR if failed else SEVERITY_NUMBER_INFO
            record.severity_text = "ERROR" if failed else "INFO"
            record.body.string_value = envelope.log.payload.decode(errors="replace")
        case "event":
            pairs = [_pair("title", envelope.event.title), _pair("body", envelope.event.body)]
            record.body.kvlist_value.CopyFrom(KeyValueList(values=pairs))
        case _:
            return None
    record.attributes.extend(_attributes(envelope))
    return record


def metrics(envelope: Envelope) -> list[Metric]:
    """Make the metric of a counter, or one of each metric of a gauge; none of anything else.

    OTLP counts with a sign: a total's top bit is cleared.
    """
    match envelope.WhichOneof("message"):
        case "counter":
            total = envelope.counter.total & _MOST_INTEGER
            point = NumberDataPoint(
                time_unix_nano=_time(envelope.timestamp), as_int=total, attributes=_attributes(envelope)
            )
            cumulative = AGGREGATION_TEMPORALITY_CUMULATIVE
            told = Sum(data_points=[point], aggregation_temporality=cumulative, is_monotonic=True)
            return [Metric(name=envelope.counter.name, sum=told)]
        case "gauge":
            attributes = list(_attributes(envelope))
            at = _time(envelope.timestamp)
            return [
                Metric(
                    name=name,
                    unit=metric.unit,
                    gauge=OtlpGauge(
                        data_points=[NumberDataPoint(time_unix_nano=at, as_double=metric.value, attributes=attributes)]
                    ),
                )
                for name, metric in envelope.gauge.metrics.items()
            ]
        case _:
            return []


def span(envelope: Envelope) -> Span | None:
    """Make the span of a timer that a server, or somebody between, measured; None of one that belongs to no trace."""
    if not envelope.HasField("timer") or envelope.tags.get("peer_type") == "Client":
        return None
    trace_id = _identifier(envelope.tags.get("trace_id", ""), _TRACE_BYTES)
    span_id = _identifier(envelope.tags.get("span_id", ""), _SPAN_BYTES)
    if trace_id is None or span_id is None:
        return None
    serves = envelope.tags.get("peer_type") == "Server"
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        name=_path(envelope.tags.get("uri", "")),
        kind=Span.SPAN_KIND_SERVER if serves else Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=_time(envelope.timer.start),
        end_time_unix_nano=_time(envelope.timer.stop),
        attributes=_attributes(envelope),
    )


def _attributes(envelope: Envelope) -> Iterator[KeyValue]:
    """Give the ids and the tags, each key once: a tag that is named like an id gives way to it."""
    found = {**envelope.tags, "instance_id": envelope.instance_id, "source_id": envelope.source_id}
    return (_pair(key, value) for key, value in sorted(found.items()) if key not in _NO_ATTRIBUTES)


def _pair(key: str, text: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=text))


def _time(nanoseconds: int) -> int:
    """Give a time as OTLP counts: never before 1970."""
    return min(max(nanoseconds, 0), _MOST_TIME)


def _identifier(text: str, size: int) -> bytes | None:
    """Read hexadecimal digits; None unless they are of the right number, and not all 0, which means none."""
    try:
        read = bytes.fromhex(text)
    except ValueError:
        return None
    return read if len(read) == size and any(read) else None


def _path(uri: str) -> str:
    try:
        return urlsplit(uri).path
    except ValueError:
        return ""
