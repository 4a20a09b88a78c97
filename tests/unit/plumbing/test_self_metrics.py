"""What a component says of itself: counters with delta and total, gauges, events, all with its tags."""

import hypothesis.strategies as st
from hypothesis import given

from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing.diode import Parcel
from plumbing.self_metrics import KINDS, SelfMetrics


def read(parcel: Parcel) -> list[Envelope]:
    envelopes = list(EnvelopeBatch.FromString(parcel.batch).batch)
    assert len(envelopes) == parcel.envelopes
    return envelopes


def test_an_envelope_says_whose_metric_it_is_and_when_it_was_read() -> None:
    metrics = SelfMetrics("loggregator.doppler", "doppler", {"index": "3"})
    metrics.counter("dropped", lambda: 1, direction="egress")

    (envelope,) = read(metrics.batch(now_ns=7))

    assert (envelope.timestamp, envelope.source_id) == (7, "doppler")
    assert envelope.tags == {
        "origin": "loggregator.doppler",
        "metric_version": "2.0",
        "direction": "egress",
        "index": "3",
    }


def test_configured_tags_do_not_replace_what_a_metric_says_of_itself() -> None:
    metrics = SelfMetrics("loggregator.doppler", "doppler", {"origin": "x", "metric_version": "x", "direction": "x"})
    metrics.counter("dropped", lambda: 1, direction="egress")

    (envelope,) = read(metrics.batch(0))

    assert envelope.tags == {"origin": "loggregator.doppler", "metric_version": "2.0", "direction": "egress"}


@given(totals=st.lists(st.integers(0, 2**64 - 1)).map(sorted))
def test_the_deltas_of_a_counter_add_up_to_its_total(totals: list[int]) -> None:
    readings = iter(totals)
    metrics = SelfMetrics("o", "s")
    metrics.counter("ingress", lambda: next(readings))

    told = 0
    for total in totals:
        (envelope,) = read(metrics.batch(0))
        told += envelope.counter.delta
        assert envelope.counter.total == total == told


def test_a_counter_that_went_back_tells_no_negative_delta() -> None:
    readings = iter([5, 3, 4])
    metrics = SelfMetrics("o", "s")
    metrics.counter("ingress", lambda: next(readings))

    counters = [read(metrics.batch(0))[0].counter for _ in range(3)]

    assert [(counter.delta, counter.total) for counter in counters] == [(5, 5), (0, 3), (1, 4)]


def test_counters_of_one_name_and_different_tags_are_two() -> None:
    metrics = SelfMetrics("o", "s")
    metrics.counter("dropped", lambda: 1, direction="ingress")
    metrics.counter("dropped", lambda: 2, direction="egress")

    totals = {envelope.tags["direction"]: envelope.counter.total for envelope in read(metrics.batch(0))}

    assert totals == {"ingress": 1, "egress": 2}


def test_a_gauge_has_two_decimals_and_a_unit() -> None:
    metrics = SelfMetrics("o", "s")
    metrics.gauge("subscriptions", "subscriptions", lambda: 2.345678)

    (envelope,) = read(metrics.batch(0))

    assert envelope.gauge.metrics["subscriptions"].value == 2.35
    assert envelope.gauge.metrics["subscriptions"].unit == "subscriptions"


def test_an_event_has_the_same_source_and_origin() -> None:
    metrics = SelfMetrics("loggregator.trafficcontroller", "traffic_controller", {"job": "tc"})

    (envelope,) = read(metrics.event("Slow consumer", "it was cut off", now_ns=9))

    assert (envelope.event.title, envelope.event.body) == ("Slow consumer", "it was cut off")
    assert (envelope.source_id, envelope.timestamp) == ("traffic_controller", 9)
    assert envelope.tags == {"origin": "loggregator.trafficcontroller", "job": "tc"}


def test_a_batch_is_one_that_a_router_may_take_unseen() -> None:
    metrics = SelfMetrics("o", "s")
    metrics.counter("ingress", lambda: 1)
    metrics.gauge("subscriptions", "subscriptions", lambda: 1)

    parcel = metrics.batch(0)

    assert kernel.admit(parcel.batch) == (parcel.batch, parcel.envelopes, KINDS, 0)
