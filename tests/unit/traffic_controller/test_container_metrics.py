"""Of each instance the newest."""

from envelope.pb import dropsonde_pb2 as v1
from traffic_controller.container_metrics import newest_of_each_instance


def metric(instance: int, timestamp: int) -> v1.Envelope:
    result = v1.Envelope(origin="o", eventType=9, timestamp=timestamp)
    result.containerMetric.applicationId = "a"
    result.containerMetric.instanceIndex = instance
    return result


def test_the_newest_of_each_instance_whatever_the_order() -> None:
    found = newest_of_each_instance([metric(1, 5), metric(0, 9), metric(1, 7), metric(0, 8)])

    assert [(each.containerMetric.instanceIndex, each.timestamp) for each in found] == [(0, 9), (1, 7)]


def test_other_gauges_are_left_out() -> None:
    value = v1.Envelope(origin="o", eventType=6)
    value.valueMetric.name = "custom"

    assert newest_of_each_instance([value]) == []
