"""Between the rows of loggregator.md 2.6: gauges and containers, for the converter and the kernel alike."""

import math

import pytest

from envelope import kernel
from envelope.framing import frame
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v2_to_v1 import CONTAINER_METRICS, to_v1
from tests.unit.envelope.v1_forms import INDICES, Convert, both, container, gauge, only


@both
def test_a_gauge_becomes_a_value_metric_for_each_of_its_metrics(convert: Convert) -> None:
    results = convert(v2.Envelope(instance_id="3", gauge=gauge(heat=("C", 36.6), mass=("kg", 2.0))))

    assert {(r.valueMetric.name, r.valueMetric.value, r.valueMetric.unit) for r in results} == {
        ("heat", 36.6, "C"),
        ("mass", 2.0, "kg"),
    }
    assert all(result.tags == {"instance_id": "3"} for result in results)


def test_a_metric_without_a_gauge_value_is_one_of_an_empty_gauge_value() -> None:
    """Where the original empties the whole result for a nil GaugeValue: none ever arrives, its parser makes one."""
    envelope = b"\x32\x06\x0a\x04\x0a\x02hi"
    (payload,) = kernel.v1_messages(frame(envelope))

    for result in (v1.Envelope.FromString(payload), only(to_v1(v2.Envelope.FromString(envelope)))):
        assert result.valueMetric == v1.ValueMetric(name="hi", value=0, unit="")


@both
@pytest.mark.parametrize("name", CONTAINER_METRICS)
def test_a_container_has_all_of_its_five_metrics(name: str, convert: Convert) -> None:
    incomplete = container()
    del incomplete.metrics[name]

    results = convert(v2.Envelope(gauge=incomplete))

    assert sorted(result.valueMetric.name for result in results) == sorted(set(CONTAINER_METRICS) - {name})


@both
@pytest.mark.parametrize("name", CONTAINER_METRICS)
def test_a_metric_with_neither_unit_nor_value_makes_no_container(name: str, convert: Convert) -> None:
    results = convert(v2.Envelope(gauge=container(**{name: ("", -0.0)})))

    assert sorted(result.valueMetric.name for result in results) == sorted(CONTAINER_METRICS)


@both
@pytest.mark.parametrize("name", CONTAINER_METRICS)
@pytest.mark.parametrize("metric", [("bytes", 0.0), ("", 5e-324), ("", math.nan)])
def test_a_unit_or_a_value_is_enough(name: str, metric: tuple[str, float], convert: Convert) -> None:
    assert only(convert(v2.Envelope(gauge=container(**{name: metric})))).HasField("containerMetric")


@both
@pytest.mark.parametrize("others", [{"instance_index": ("", 0.0)}, {"heat": ("C", 36.6), "": ("", 0.0)}])
def test_a_container_loses_its_other_metrics(others: dict[str, tuple[str, float]], convert: Convert) -> None:
    result = only(convert(v2.Envelope(gauge=container(**others))))

    assert result.HasField("containerMetric")
    assert not result.HasField("valueMetric")


@both
@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (1.999, 1),
        (9e18, 9 * 10**18),
        (2.0**64 - 2048, 2**64 - 2048),
        (-1.5, 0),
        (2.0**64, 2**64 - 1),
        (math.inf, 2**64 - 1),
        (-math.inf, 0),
        (math.nan, 0),
    ],
)
def test_sizes_are_truncated_and_stay_in_bounds(value: float, stored: int, convert: Convert) -> None:
    sizes = dict.fromkeys(("memory", "disk", "memory_quota", "disk_quota"), ("bytes", value))

    result = only(convert(v2.Envelope(gauge=container(**sizes)))).containerMetric

    assert result.memoryBytes == result.diskBytes == result.memoryBytesQuota == result.diskBytesQuota == stored


@both
@pytest.mark.parametrize(("instance_id", "index"), INDICES)
def test_the_index_of_a_container_is_its_instance_id(instance_id: str, index: int, convert: Convert) -> None:
    result = only(convert(v2.Envelope(instance_id=instance_id, gauge=container())))

    assert result.containerMetric.instanceIndex == index


@both
@pytest.mark.parametrize(("value", "index"), [(7.9, 7), (0.0, 0), (-1.5, -1), (1e10, 2**31 - 1), (math.nan, 0)])
def test_the_metric_instance_index_goes_before_the_instance_id(value: float, index: int, convert: Convert) -> None:
    result = only(convert(v2.Envelope(instance_id="3", gauge=container(instance_index=("", value)))))

    assert result.containerMetric.instanceIndex == index
