"""The three signals of OTLP: what goes into a request of each, and what its answer says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import ScopeMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope
from nozzles.http_sink import Item
from nozzles.otlp.config import Config
from nozzles.otlp.records import log_record, metrics, span
from nozzles.sdk import Batch


@dataclass(frozen=True, slots=True)
class Signal:
    """One of the three."""

    name: str
    method: str
    path: str
    records: Callable[[Envelope], list[Any]]
    scope: Callable[[list[Any]], bytes]
    """Makes the message of one scope; two of them join by `a + b`."""
    rejected: Callable[[bytes], int]
    """Reads from an answer how many records were rejected; ValueError when it is none."""


def _logs(records: list[Any]) -> bytes:
    return ScopeLogs(log_records=records).SerializeToString()


def _metrics(records: list[Any]) -> bytes:
    return ScopeMetrics(metrics=records).SerializeToString()


def _spans(records: list[Any]) -> bytes:
    return ScopeSpans(spans=records).SerializeToString()


def _rejected(response: type[Any], count: str) -> Callable[[bytes], int]:
    def read(answer: bytes) -> int:
        try:
            rejected: int = getattr(response.FromString(answer).partial_success, count)
        except DecodeError as error:
            raise ValueError(f"not an answer of OTLP: {error}") from error
        return max(rejected, 0)

    return read


def _of_one(make: Callable[[Envelope], Any | None]) -> Callable[[Envelope], list[Any]]:
    return lambda envelope: [] if (made := make(envelope)) is None else [made]


_SCOPES = b"\x12"
_COLLECTOR = "/opentelemetry.proto.collector"
LOGS = Signal(
    "logs",
    f"{_COLLECTOR}.logs.v1.LogsService/Export",
    "/v1/logs",
    _of_one(log_record),
    _logs,
    _rejected(ExportLogsServiceResponse, "rejected_log_records"),
)
METRICS = Signal(
    "metrics",
    f"{_COLLECTOR}.metrics.v1.MetricsService/Export",
    "/v1/metrics",
    metrics,
    _metrics,
    _rejected(ExportMetricsServiceResponse, "rejected_data_points"),
)
TRACES = Signal(
    "traces",
    f"{_COLLECTOR}.trace.v1.TraceService/Export",
    "/v1/traces",
    _of_one(span),
    _spans,
    _rejected(ExportTraceServiceResponse, "rejected_spans"),
)


def switched_on(config: Config) -> list[Signal]:
    """List the signals that are wished for."""
    wished = ((config.logs, LOGS), (config.metrics, METRICS), (config.traces, TRACES))
    return [signal for is_wished, signal in wished if is_wished]


def items_of(signal: Signal, batch: Batch) -> Iterator[Item]:
    """Yield what each envelope is in a signal: the message of a scope."""
    for index, envelope in enumerate(batch):
        if records := signal.records(envelope):
            yield Item((index,), signal.scope(records), entries=len(records))


def request_of(items: Iterable[Item]) -> bytes:
    """Make the request of items of one signal: one resource, of one scope, of all their records.

    The same for all three: a request's first field is its resources, a resource's second its scopes.
    """
    scope = frame(b"".join(item.data for item in items))
    return frame(_SCOPES + scope[1:])
