"""Names and labels as Prometheus wants them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Gauge, GaugeValue, Log
from nozzles.prometheus_series import SeriesSettings, label_name, labels_of, metric_name, samples


def made(envelope: Envelope, **settings: Any) -> list[tuple[Any, ...]]:
    return [tuple(sample) for sample in samples(envelope, SeriesSettings(**settings))]


def gauge(name: str, unit: str = "") -> Envelope:
    return Envelope(gauge=Gauge(metrics={name: GaugeValue(unit=unit, value=0.5)}))


def test_a_counter_is_its_total() -> None:
    envelope = Envelope(
        timestamp=5, source_id="a", instance_id="0", counter=Counter(name="http.hits", delta=1, total=9)
    )

    assert made(envelope) == [("http_hits_total", True, (("instance_id", "0"), ("source_id", "a")), 9.0, 5)]


def test_a_counter_that_ends_in_total_does_so_once() -> None:
    assert made(Envelope(counter=Counter(name="hits_total")))[0][0] == "hits_total"
    assert made(Envelope(counter=Counter(name="_total")))[0][0] == "__total"


def test_a_gauge_is_never_taken_for_a_counter() -> None:
    assert made(gauge("hits_total"))[0][0] == "hits_total_gauge"


@pytest.mark.parametrize(
    ("unit", "name", "labels"),
    [("label", "cpu", (("unit", "%"),)), ("suffix", "cpu__", ()), ("none", "cpu", ())],
)
def test_a_unit_goes_where_it_is_wished(unit: str, name: str, labels: tuple[Any, ...]) -> None:
    assert made(gauge("cpu", "%"), unit=unit) == [(name, False, labels, 0.5, 0)]


def test_a_log_and_a_metric_without_a_name_have_no_samples() -> None:
    assert made(Envelope(log=Log())) + made(Envelope(counter=Counter(total=1))) + made(gauge("")) == []


def test_chosen_tags_are_labels_and_others_are_not() -> None:
    envelope = Envelope(tags={"job": "router", "ip": "10.0.0.1", "__v1_type": "CounterEvent", "empty": ""})

    assert labels_of(envelope, SeriesSettings(tags=("job", "missing"))) == {"job": "router"}
    assert labels_of(envelope, SeriesSettings()) == {"ip": "10.0.0.1", "job": "router"}


def test_labels_are_bounded_in_number_and_length() -> None:
    envelope = Envelope(source_id="s" * 500, tags={f"t{n:02}": "v" for n in range(50)})

    labels = labels_of(envelope, SeriesSettings(max_labels=2, max_label_chars=10))

    assert labels == {"source_id": "s" * 10, "t00": "v", "t01": "v"}


def test_no_tag_takes_the_place_of_an_id() -> None:
    assert labels_of(Envelope(source_id="a", tags={"source.id": "b"}), SeriesSettings()) == {"source_id": "a"}


@given(st.text(min_size=1))
def test_names_keep_to_the_rules(raw: str) -> None:
    assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", metric_name(raw))
    assert re.fullmatch(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", label_name(raw))
