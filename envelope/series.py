"""What time series are made of: the numbers an envelope carries, and the tags that tell one series from another."""

from collections.abc import Iterator

from envelope.pb.loggregator_v2_pb2 import Envelope
from envelope.wire import WireType, fields

_TAGS = Envelope.DESCRIPTOR.fields_by_name["tags"].number << 3 | WireType.LENGTH_DELIMITED
_HALF = 1 << 63


def numbers(envelope: Envelope) -> Iterator[tuple[str, float]]:
    """Name each number: a counter's total, every metric of a gauge, how long a timer took (wrapped to int64)."""
    match envelope.WhichOneof("message"):
        case "counter":
            yield envelope.counter.name, float(envelope.counter.total)
        case "gauge":
            for name, metric in envelope.gauge.metrics.items():
                yield name, metric.value
        case "timer":
            took = envelope.timer.stop - envelope.timer.start
            yield envelope.timer.name, float((took + _HALF) % (2 * _HALF) - _HALF)


def raw_tags(envelope: bytes) -> bytes:
    """Give the entries of `tags` as they stand in a serialised envelope, itself the serialised form of one."""
    return b"".join(envelope[field.start : field.end] for field in fields(envelope) if field.tag == _TAGS)
