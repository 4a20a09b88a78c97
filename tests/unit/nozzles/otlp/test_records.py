"""What each kind of envelope is in OTLP."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_ERROR, SEVERITY_NUMBER_INFO
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Event, Gauge, GaugeValue, Log, Timer
from nozzles.otlp.records import log_record, metrics, span
from tests.strategies import envelopes

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def attributes(record: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in record.attributes}


def timer(**tags: str) -> Envelope:
    return Envelope(
        source_id="a", tags={"trace_id": TRACE, "span_id": SPAN, **tags}, timer=Timer(name="http", start=10, stop=30)
    )


@pytest.mark.parametrize(("log_type", "number"), [(Log.OUT, SEVERITY_NUMBER_INFO), (Log.ERR, SEVERITY_NUMBER_ERROR)])
def test_a_log_is_a_record_with_its_severity(log_type: Any, number: int) -> None:
    envelope = Envelope(
        timestamp=5,
        source_id="a",
        instance_id="1",
        tags={"job": "web", "__v1_type": "LogMessage"},
        log=Log(payload=b"hello \xff", type=log_type),
    )

    record = log_record(envelope)

    assert record is not None
    assert (record.time_unix_nano, record.severity_number, record.body.string_value) == (5, number, "hello \ufffd")
    assert attributes(record) == {"job": "web", "source_id": "a", "instance_id": "1"}


def test_severities_are_those_of_the_contract() -> None:
    assert (SEVERITY_NUMBER_INFO, SEVERITY_NUMBER_ERROR) == (9, 17)


def test_an_event_is_a_record_of_its_title_and_body() -> None:
    record = log_record(Envelope(event=Event(title="crash", body="out of memory")))

    assert record is not None
    told = {pair.key: pair.value.string_value for pair in record.body.kvlist_value.values}
    assert told == {"title": "crash", "body": "out of memory"}


@pytest.mark.parametrize(("total", "told"), [(7, 7), ((1 << 63) + 5, 5), ((1 << 64) - 1, (1 << 63) - 1)])
def test_a_counter_is_a_cumulative_monotonic_sum_without_its_top_bit(total: int, told: int) -> None:
    (metric,) = metrics(Envelope(timestamp=5, source_id="a", counter=Counter(name="n", delta=1, total=total)))

    assert (metric.name, metric.sum.is_monotonic) == ("n", True)
    assert metric.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    (point,) = metric.sum.data_points
    assert (point.WhichOneof("value"), point.as_int, point.time_unix_nano) == ("as_int", told, 5)


def test_every_metric_of_a_gauge_is_a_gauge_with_its_unit() -> None:
    gauge = Gauge(metrics={"cpu": GaugeValue(unit="percentage", value=0.5), "mem": GaugeValue(unit="B", value=9)})

    told = metrics(Envelope(source_id="a", gauge=gauge))

    assert sorted((one.name, one.unit, one.gauge.data_points[0].as_double) for one in told) == [
        ("cpu", "percentage", 0.5),
        ("mem", "B", 9.0),
    ]
    assert all(attributes(one.gauge.data_points[0])["source_id"] == "a" for one in told)


@pytest.mark.parametrize(("peer", "kind"), [("Server", Span.SPAN_KIND_SERVER), ("", Span.SPAN_KIND_INTERNAL)])
def test_a_timer_of_a_trace_is_a_span(peer: str, kind: int) -> None:
    told = span(timer(uri="https://app.example.com/a/b?q=1", peer_type=peer))

    assert told is not None
    assert (told.name, told.kind, told.start_time_unix_nano, told.end_time_unix_nano) == ("/a/b", kind, 10, 30)
    assert (told.trace_id.hex(), told.span_id.hex()) == (TRACE, SPAN)
    assert set(attributes(told)) == {"source_id", "instance_id", "uri", "peer_type"}


@pytest.mark.parametrize(
    "tags", [{"peer_type": "Client"}, {"trace_id": ""}, {"span_id": "xyz"}, {"span_id": "b7"}, {"trace_id": "0" * 32}]
)
def test_a_timer_of_no_trace_or_of_a_client_is_no_span(tags: dict[str, str]) -> None:
    assert span(timer(**tags)) is None


def test_a_uri_that_is_none_names_nothing() -> None:
    told = span(timer(uri="http://[broken"))

    assert told is not None
    assert told.name == ""


@given(envelopes)
def test_an_envelope_is_of_one_signal_at_most(envelope: Envelope) -> None:
    made = [log_record(envelope) is not None, bool(metrics(envelope)), span(envelope) is not None]

    assert sum(made) <= 1
