"""What becomes of each kind of sample, to the letter of loggregator.md 1.5."""

import math

import pytest

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Gauge, GaugeValue
from metron.sources.prometheus.exposition import ExpositionError, Role, Sample, samples_of
from metron.sources.prometheus.mapping import BATCH_ENVELOPES, Origin, envelope_of, scraped_of

ORIGIN = Origin("app", "3", {"job": "web"})


def gauge(name: str, value: float, unit: str = "") -> Gauge:
    return Gauge(metrics={name: GaugeValue(value=value, unit=unit)})


def of(sample: Sample, origin: Origin = ORIGIN) -> Envelope:
    envelope = envelope_of(sample, origin, 7)
    assert envelope is not None
    return envelope


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# TYPE c counter\nc 5\n", [Counter(name="c", total=5)]),
        ("# TYPE c_total counter\nc_total 5\n", [Counter(name="c_total", total=5)]),
        ("# TYPE c counter\nc 5.9\n", [Counter(name="c", total=5)]),
        ("# TYPE c counter\nc 18446744073709551615\n", [Counter(name="c", total=2**64 - 1)]),
        ("# TYPE g gauge\ng -1.5\n", [gauge("g", -1.5)]),
        ("u 2\n", [gauge("u", 2)]),
        (
            '# TYPE h histogram\nh_bucket{le="0.5"} 1\nh_bucket{le="+Inf"} 3\nh_sum 4.5\nh_count 3\n',
            [
                Counter(name="h_bucket", total=1),
                Counter(name="h_bucket", total=3),
                gauge("h_sum", 4.5),
                Counter(name="h_count", total=3),
            ],
        ),
        (
            '# TYPE s summary\ns{quantile="0.99"} 0.25\ns_sum 4.5\ns_count 3\n',
            [gauge("s", 0.25), gauge("s_sum", 4.5), Counter(name="s_count", total=3)],
        ),
    ],
)
def test_each_type_becomes_what_the_original_makes_of_it(text: str, expected: list[Counter | Gauge]) -> None:
    scraped = scraped_of(samples_of(text.encode(), "", max_samples=9), ORIGIN, 7, max_bytes=10_000)

    envelopes = EnvelopeBatch.FromString(b"".join(batch for batch, _ in scraped.batches)).batch
    assert [each.counter if each.HasField("counter") else each.gauge for each in envelopes] == expected
    assert {(each.timestamp, each.source_id, each.instance_id) for each in envelopes} == {(7, "app", "3")}
    assert all(each.tags["job"] == "web" for each in envelopes)
    assert [count for _, count in scraped.batches] == [len(expected)]
    assert scraped.skipped == 0


def test_a_counter_has_a_total_and_no_delta() -> None:
    assert of(Sample("c", Role.COUNTER, {}, 5)).counter == Counter(name="c", total=5, delta=0)


def test_other_labels_become_tags_and_win_over_those_of_the_target() -> None:
    envelope = of(Sample("g", Role.GAUGE, {"job": "own", "instance_id": "9"}, 1))

    assert dict(envelope.tags) == {"job": "own", "instance_id": "9"}
    assert envelope.instance_id == "3"


def test_the_label_source_id_names_the_source_and_is_no_tag() -> None:
    envelope = of(Sample("g", Role.GAUGE, {"source_id": "other"}, 1))

    assert (envelope.source_id, dict(envelope.tags)) == ("other", {"job": "web"})


def test_an_empty_label_source_id_names_nobody() -> None:
    assert of(Sample("g", Role.GAUGE, {"source_id": ""}, 1)).source_id == "app"


def test_a_configured_label_source_id_is_only_a_tag() -> None:
    envelope = of(Sample("g", Role.GAUGE, {}, 1), Origin("app", "", {"source_id": "x"}))

    assert (envelope.source_id, dict(envelope.tags)) == ("app", {"source_id": "x"})


@pytest.mark.parametrize("origin", [Origin("app", "", {}), Origin("app", "", {"unit": "ms"})])
def test_the_label_unit_of_a_gauge_is_its_unit(origin: Origin) -> None:
    labels = {} if origin.labels else {"unit": "ms"}

    envelope = of(Sample("g", Role.GAUGE, labels, 1), origin)

    assert envelope.gauge.metrics["g"].unit == "ms"
    assert not envelope.tags


@pytest.mark.parametrize("role", [Role.COUNTER, Role.SUM])
def test_the_label_unit_of_anything_else_stays_a_tag(role: Role) -> None:
    envelope = of(Sample("x", role, {"unit": "ms"}, 1))

    assert envelope.tags["unit"] == "ms"
    assert envelope.gauge.metrics["x"].unit == ""


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("0.005", "0.005"),
        ("1.0", "1"),
        ("100000", "100000"),
        ("1000000", "1e+06"),
        ("1.0E-5", "1e-05"),
        ("+Inf", "+Inf"),
        ("inf", "+Inf"),
    ],
)
def test_a_bound_is_written_as_go_writes_it(given: str, written: str) -> None:
    assert of(Sample("h_bucket", Role.BUCKET, {"le": given}, 1)).tags["le"] == written
    assert of(Sample("s", Role.QUANTILE, {"quantile": given}, 1)).tags["quantile"] == written


@pytest.mark.parametrize(
    "sample",
    [
        Sample("g", Role.GAUGE, {}, math.nan),
        Sample("g", Role.GAUGE, {}, math.inf),
        Sample("g", Role.GAUGE, {}, 10**400),
        Sample("g", Role.GAUGE, {}, None),
        Sample("s", Role.QUANTILE, {"quantile": "0.5"}, math.nan),
        Sample("s", Role.QUANTILE, {}, 1),
        Sample("c", Role.COUNTER, {}, -1),
        Sample("c", Role.COUNTER, {}, math.nan),
        Sample("c", Role.COUNTER, {}, math.inf),
        Sample("c", Role.COUNTER, {}, 2**64),
        Sample("c", Role.COUNTER, {}, float(2**64)),
        Sample("c", Role.COUNTER, {}, None),
        Sample("h_bucket", Role.BUCKET, {}, 1),
        Sample("h_bucket", Role.BUCKET, {"le": "NaN"}, 1),
    ],
)
def test_what_makes_no_sense_is_left_out_and_counted(sample: Sample) -> None:
    scraped = scraped_of([sample, Sample("g", Role.GAUGE, {}, 1)], ORIGIN, 7, max_bytes=1000)

    assert scraped.skipped == 1
    assert [count for _, count in scraped.batches] == [1]


def test_a_bound_that_is_no_number_spoils_the_scrape() -> None:
    with pytest.raises(ExpositionError, match="'wide' is no le"):
        envelope_of(Sample("h_bucket", Role.BUCKET, {"le": "wide"}, 1), ORIGIN, 7)


def test_batches_are_small_and_hold_everything_in_order() -> None:
    many = [Sample(f"g{number}", Role.GAUGE, {}, number) for number in range(2 * BATCH_ENVELOPES + 1)]

    scraped = scraped_of(many, ORIGIN, 7, max_bytes=1 << 20)

    assert [count for _, count in scraped.batches] == [BATCH_ENVELOPES, BATCH_ENVELOPES, 1]
    envelopes = EnvelopeBatch.FromString(b"".join(batch for batch, _ in scraped.batches)).batch
    assert [name for each in envelopes for name in each.gauge.metrics] == [sample.name for sample in many]


def test_labels_of_the_target_cannot_blow_up_an_answer_without_bound() -> None:
    heavy = Origin("app", "", {"x": "y" * 10_000})

    with pytest.raises(ExpositionError, match="more than 1000000 bytes"):
        scraped_of((Sample("g", Role.GAUGE, {}, 1) for _ in range(1000)), heavy, 7, max_bytes=1_000_000)
