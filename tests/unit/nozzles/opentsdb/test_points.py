"""The points that an envelope becomes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Gauge, GaugeValue, Log, Timer
from nozzles.opentsdb.config import Config
from nozzles.opentsdb.points import Point, clean, points

S = 1_000_000_000


def config(**settings: Any) -> Config:
    return Config(**{"address": "127.0.0.1:4242", **settings})


def made(envelope: Envelope, config: Config) -> list[Point]:
    return points(envelope, config) or []


def test_a_counter_is_its_total() -> None:
    envelope = Envelope(
        timestamp=5 * S,
        source_id="router",
        instance_id="3",
        tags={"origin": "gorouter", "deployment": "cf", "job": "r", "index": "i", "ip": "10.0.0.1", "other": "x"},
        counter=Counter(name="requests", delta=1, total=7),
    )

    (point,) = made(envelope, config())

    assert point.line() == (
        b"put opentsdb.nozzle.gorouter.requests 5 7 deployment=cf job=r index=i ip=10.0.0.1 source_id=router"
        b" instance_id=3\n"
    )


def test_every_metric_of_a_gauge_is_a_point() -> None:
    gauge = Gauge(metrics={"cpu": GaugeValue(unit="%", value=0.5), "mem": GaugeValue(value=1e20)})
    envelope = Envelope(timestamp=S, source_id="a", gauge=gauge)

    lines = sorted(point.line() for point in made(envelope, config(prefix="")))

    assert lines == [b"put cpu 1 0.5 source_id=a\n", b"put mem 1 1e+20 source_id=a\n"]


def test_a_timer_is_a_point_only_when_wished_for() -> None:
    timer = Envelope(timestamp=S, source_id="a", timer=Timer(name="http", start=S, stop=2 * S + 500_000))

    assert points(timer, config()) is None
    (point,) = made(timer, config(timers=True, milliseconds=True))
    assert (point.value, point.timestamp) == (1000.5, 2000)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_finite_number_is_no_point(value: float) -> None:
    assert points(Envelope(gauge=Gauge(metrics={"cpu": GaugeValue(value=value)})), config()) == []


def test_a_log_has_no_points_and_a_metric_without_a_name_is_none() -> None:
    assert points(Envelope(log=Log(payload=b"x")), config()) is None
    assert points(Envelope(counter=Counter(total=1)), config()) == []


def test_an_envelope_that_says_nothing_of_itself_still_has_a_tag() -> None:
    (point,) = made(Envelope(counter=Counter(name="n")), config())

    assert point.tags == {"source_id": "unknown"}


def test_a_total_beyond_what_opentsdb_counts_to_is_a_decimal() -> None:
    (point,) = made(Envelope(counter=Counter(name="n", total=1 << 63)), config())

    assert isinstance(point.value, float)


def test_a_ninth_tag_is_too_many() -> None:
    with pytest.raises(ValueError, match="tags"):
        config(tags=list("abcdefghi"))


def test_a_transport_needs_its_peer() -> None:
    with pytest.raises(ValueError, match="telnet needs an address"):
        Config()
    with pytest.raises(ValueError, match="http needs the settings"):
        Config(transport="http")


@given(name=st.text(min_size=1), value=st.text(min_size=1))
def test_no_name_or_tag_breaks_out_of_its_line(name: str, value: str) -> None:
    (point,) = made(Envelope(source_id=value, counter=Counter(name=name, total=1)), config())

    line = point.line()
    assert line.count(b"\n") == 1
    assert len(line.split(b" ")) == 5
    assert len(clean(name)) <= 255
