"""Labels and metrics are listed as Prometheus lists them."""

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope
from log_cache.listing import Description, by_metric, descriptions, names_of, values_of
from log_cache.promql.values import labels_of

SERIES = [labels_of({"__name__": "cpu", "job": "b"}), labels_of({"__name__": "cpu", "job": "a", "zone": "z"})]


def described(*envelopes: Envelope) -> set[Description]:
    return descriptions(b"".join(frame(envelope.SerializeToString()) for envelope in envelopes))


def test_names_are_those_of_any_series_sorted() -> None:
    assert names_of(SERIES) == ["__name__", "job", "zone"]


def test_values_are_those_of_any_series_sorted_and_each_once() -> None:
    assert values_of(SERIES, "job") == ["a", "b"]
    assert values_of(SERIES, "__name__") == ["cpu"]
    assert values_of(SERIES, "zone") == ["z"]
    assert values_of(SERIES, "nothing") == []


def test_a_counter_is_a_counter() -> None:
    assert described(Envelope(counter={"name": "http.requests"})) == {("http_requests", "counter", "")}


def test_each_metric_of_a_gauge_is_a_gauge_with_its_unit() -> None:
    metrics = {"cpu": {"unit": "percentage"}, "memory.used": {"unit": "bytes"}}

    assert described(Envelope(gauge={"metrics": metrics})) == {
        ("cpu", "gauge", "percentage"),
        ("memory_used", "gauge", "bytes"),
    }


def test_a_timer_is_a_gauge_of_nanoseconds() -> None:
    assert described(Envelope(timer={"name": "http"})) == {("http", "gauge", "ns")}


def test_logs_and_events_are_no_metrics() -> None:
    assert described(Envelope(log={}), Envelope(event={"title": "t"}), Envelope()) == set()


def test_a_metric_may_have_been_described_in_several_ways() -> None:
    found = [Description("cpu", "gauge", "s"), Description("cpu", "gauge", ""), Description("a", "counter", "")]

    assert by_metric(found) == {
        "a": [{"type": "counter", "help": "", "unit": ""}],
        "cpu": [{"type": "gauge", "help": "", "unit": ""}, {"type": "gauge", "help": "", "unit": "s"}],
    }
