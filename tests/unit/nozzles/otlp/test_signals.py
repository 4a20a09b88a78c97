"""Requests of many envelopes, and what answers say."""

from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Log, Timer
from nozzles.otlp.config import Config
from nozzles.otlp.signals import LOGS, METRICS, TRACES, items_of, request_of, switched_on
from nozzles.sdk import Batch

HTTP: dict[str, Any] = {"http": {"url": "http://127.0.0.1:4318"}}
ENVELOPES = [
    Envelope(log=Log(payload=b"one")),
    Envelope(counter=Counter(name="n", total=1)),
    Envelope(timer=Timer(), tags={"trace_id": "01" * 16, "span_id": "02" * 8}),
    Envelope(log=Log(payload=b"two")),
]
BATCH = Batch(EnvelopeBatch(batch=ENVELOPES).SerializeToString(), len(ENVELOPES))


def test_a_request_has_one_scope_of_all_records() -> None:
    items = list(items_of(LOGS, BATCH))
    (resource,) = ExportLogsServiceRequest.FromString(request_of(items)).resource_logs
    (scope,) = resource.scope_logs

    assert [item.indexes for item in items] == [(0,), (3,)]
    assert [record.body.string_value for record in scope.log_records] == ["one", "two"]


def test_the_other_signals_are_framed_alike() -> None:
    metrics = ExportMetricsServiceRequest.FromString(request_of(items_of(METRICS, BATCH)))
    traces = ExportTraceServiceRequest.FromString(request_of(items_of(TRACES, BATCH)))

    assert metrics.resource_metrics[0].scope_metrics[0].metrics[0].name == "n"
    assert traces.resource_spans[0].scope_spans[0].spans[0].span_id == b"\x02" * 8


def test_an_answer_says_how_many_were_rejected() -> None:
    answer = ExportMetricsServiceResponse(partial_success={"rejected_data_points": 3})

    assert METRICS.rejected(answer.SerializeToString()) == 3
    assert METRICS.rejected(b"") == 0
    with pytest.raises(ValueError, match="not an answer"):
        METRICS.rejected(b"<html>")


def test_each_signal_can_be_switched_off() -> None:
    assert switched_on(Config(**HTTP)) == [LOGS, METRICS, TRACES]
    assert switched_on(Config(**HTTP, logs=False, traces=False)) == [METRICS]


@pytest.mark.parametrize("settings", [{}, {**HTTP, "grpc": {"address": "127.0.0.1:4317"}}])
def test_there_is_one_collector(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="grpc or of http"):
        Config(**settings)


@pytest.mark.parametrize(
    ("grpc", "complaint"),
    [
        ({"tls_cert": "a"}, "together"),
        ({"tls_cert": "a", "tls_key": "b"}, "needs tls_ca"),
        ({"plaintext": True, "tls_ca": "a"}, "plaintext"),
    ],
)
def test_settings_of_tls_fit_together(grpc: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Config(grpc={"address": "127.0.0.1:4317", **grpc})
