import pytest
from hypothesis import given

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Event, Gauge, GaugeValue, Log, Timer
from envelope.series import numbers, raw_tags
from envelope.wire import fields
from tests.kernel_results import admitted
from tests.strategies import envelopes, odd_batches, parsed

LOWEST, HIGHEST = -(2**63), 2**63 - 1


def numbers_of(envelope: Envelope) -> list[tuple[str, float]]:
    return list(numbers(envelope))


@pytest.mark.parametrize("total", [0, 7, 2**53 + 1, 2**64 - 1])
def test_a_counters_number_is_its_total(total: int) -> None:
    assert numbers_of(Envelope(counter=Counter(name="requests", delta=3, total=total))) == [("requests", float(total))]


def test_every_metric_of_a_gauge_has_its_number() -> None:
    gauge = Gauge(metrics={"cpu": GaugeValue(value=0.5), "memory": GaugeValue(unit="bytes")})

    assert sorted(numbers(Envelope(gauge=gauge))) == [("cpu", 0.5), ("memory", 0.0)]


def test_a_metric_named_twice_has_its_last_number() -> None:
    first, last = (Gauge(metrics={"cpu": GaugeValue(value=value)}).SerializeToString() for value in (1.0, 2.0))

    assert numbers_of(Envelope(gauge=Gauge.FromString(first + last))) == [("cpu", 2.0)]


@pytest.mark.parametrize(
    ("start", "stop", "took"),
    [
        (1_000, 3_500, 2_500.0),
        (3_500, 1_000, -2_500.0),
        (0, 0, 0.0),
        (1_700_000_000_000_000_000, 1_700_000_000_000_000_001, 1.0),
        (0, HIGHEST, float(HIGHEST)),
        (LOWEST, HIGHEST, -1.0),
        (HIGHEST, LOWEST, 1.0),
        (1, LOWEST, float(HIGHEST)),
    ],
)
def test_a_timers_number_is_how_long_it_took_wrapped_as_int64(start: int, stop: int, took: float) -> None:
    assert numbers_of(Envelope(timer=Timer(name="http", start=start, stop=stop))) == [("http", took)]


@pytest.mark.parametrize("envelope", [Envelope(log=Log(payload=b"1")), Envelope(event=Event(title="1")), Envelope()])
def test_logs_events_and_bare_envelopes_have_none(envelope: Envelope) -> None:
    assert numbers_of(envelope) == []


@given(envelopes)
def test_raw_tags_are_an_envelope_of_nothing_else(envelope: Envelope) -> None:
    assert Envelope.FromString(raw_tags(envelope.SerializeToString())) == Envelope(tags=envelope.tags)


@given(odd_batches)
def test_raw_tags_of_any_envelope_read_as_its_tags(batch: bytes) -> None:
    clean = admitted(batch)

    for field, envelope in zip(fields(clean), parsed(clean), strict=True):
        assert Envelope.FromString(raw_tags(clean[field.body : field.end])).tags == envelope.tags
