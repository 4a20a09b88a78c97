"""What survives a trip through the other format, by the tables of loggregator.md 2.5 and 2.6."""

from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from envelope import uuids
from envelope.deprecated_tags import text_of
from envelope.framing import varint
from envelope.numbers_as_text import INT32, UINT64, fixed, integer, truncated
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v1_to_v2 import to_v2
from envelope.v2_to_v1 import BASE_TAGS, HTTP_TAGS
from tests.strategies import (
    CONTAINER_METRICS,
    bare_envelopes,
    canonical,
    counter_envelopes,
    event_envelopes,
    gauge_envelopes,
    log_envelopes,
    timer_envelopes,
    v1_envelopes,
)
from tests.unit.envelope.v1_forms import Convert, both

SIZES = ("memoryBytes", "diskBytes", "memoryBytesQuota", "diskBytesQuota")


def without(tags: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: text for name, text in tags.items() if name not in ("__v1_type", *BASE_TAGS, *names)}


def settled(before: v1.Envelope) -> v1.Envelope:
    """Return what is left of a v1 envelope after v2: every default is spelled out, and the source_id is a tag too."""
    after = v1.Envelope()
    after.CopyFrom(before)
    for name in (*BASE_TAGS, "timestamp"):
        setattr(after, name, getattr(before, name))
    source_id = before.tags.get("source_id", f"{before.deployment}/{before.job}")
    spent: tuple[str, ...] = ()
    match before.eventType:
        case v1.Envelope.LogMessage:
            source_id = before.logMessage.app_id or source_id
            settle_log(after.logMessage, source_id, before.timestamp)
            spent = ("source_type",)
        case v1.Envelope.HttpStartStop:
            application_id: v1.UUID = before.httpStartStop.applicationId
            if application_id.low or application_id.high:
                source_id = uuids.text_of(application_id.low, application_id.high)
            settle_http(after.httpStartStop, source_id)
            spent = HTTP_TAGS
        case v1.Envelope.ContainerMetric:
            source_id = before.containerMetric.applicationId or source_id
            settle_container(after.containerMetric, source_id)
        case v1.Envelope.CounterEvent:
            after.counterEvent.total = before.counterEvent.total
            spent = () if before.tags.get("instance_id") else ("instance_id",)
        case v1.Envelope.Error:
            spent = ("source", "code")
    after.tags.clear()
    after.tags.update(without(before.tags, *spent, "source_id"))
    if source_id:
        after.tags["source_id"] = source_id
    return after


def settle_log(log: v1.LogMessage, source_id: str, timestamp: int) -> None:
    log.app_id = source_id
    log.timestamp = timestamp
    log.source_type = log.source_type  # unset becomes empty
    log.source_instance = log.source_instance


def settle_http(http: v1.HttpStartStop, source_id: str) -> None:
    http.ClearField("applicationId")
    if (application_id := uuids.parse(source_id)) is not None:
        http.applicationId.low, http.applicationId.high = application_id
    http.instanceIndex = http.instanceIndex  # unset becomes 0
    http.instanceId = http.instanceId
    http.forwarded[:] = "\n".join(http.forwarded).split("\n")


def settle_container(container: v1.ContainerMetric, source_id: str) -> None:
    container.applicationId = source_id
    for name in SIZES:
        setattr(container, name, truncated(float(getattr(container, name)), UINT64))


@both
@given(before=v1_envelopes, preferred=st.booleans())
def test_from_v1_to_v2_and_back(before: v1.Envelope, preferred: bool, convert: Convert) -> None:
    (after,) = convert(to_v2(before, preferred))

    assert canonical(after) == canonical(settled(before))


@both
@pytest.mark.parametrize("number", [0, 45, 99])
def test_a_method_or_peer_type_without_a_name_comes_back_as_0(number: int, convert: Convert) -> None:
    http = v1.HttpStartStop.FromString(b"\x20" + varint(number) + b"\x28" + varint(number))

    (after,) = convert(to_v2(v1.Envelope(eventType="HttpStartStop", httpStartStop=http)))

    assert b"\x20\x00\x28\x00" in after.httpStartStop.SerializePartialToString()


# --- from v2 ----------------------------------------------------------------------------------------------------------


def there_and_back(before: v2.Envelope, convert: Convert) -> list[v2.Envelope]:
    return [to_v2(over_there) for over_there in convert(before)]


def merged(envelope: v2.Envelope) -> dict[str, str]:
    """Return the tags of both maps as v1 has them: of a clash the deprecated one."""
    tags = dict(envelope.tags)
    for key, value in envelope.deprecated_tags.items():
        if (text := text_of(value, decimal=fixed)) is not None:
            tags[key] = text
    return tags


def preferred(envelope: v2.Envelope, key: str) -> str:
    """Return a tag that v1 has a field for: of a clash the preferred one."""
    return envelope.tags[key] if key in envelope.tags else merged(envelope).get(key, "")


def settled_v2(before: v2.Envelope, v1_type: str, *spent: str) -> v2.Envelope:
    """Return what every kind keeps of a v2 envelope that has been to v1: time, source, tags; not yet the instance."""
    base = {name: preferred(before, name) for name in BASE_TAGS}
    tags = merged(before)
    unknown_source = tags.get("source_id", f"{base['deployment']}/{base['job']}")
    kept = without(tags, "source_id", *spent)
    return v2.Envelope(
        timestamp=before.timestamp,
        source_id=before.source_id or unknown_source,
        tags={**kept, **base, "__v1_type": v1_type},
    )


@both
@given(before=log_envelopes)
def test_a_log_from_v2_to_v1_and_back(before: v2.Envelope, convert: Convert) -> None:
    assume(preferred(before, "__v1_type") != "Error")
    expected = settled_v2(before, "LogMessage")
    expected.tags["source_type"] = preferred(before, "source_type")
    expected.instance_id = before.instance_id
    expected.log.payload = before.log.payload
    expected.log.type = v2.Log.OUT if before.log.type == v2.Log.OUT else v2.Log.ERR

    assert list(map(canonical, there_and_back(before, convert))) == [canonical(expected)]


@both
@given(before=log_envelopes)
def test_an_error_from_v2_to_v1_and_back_is_on_stdout_and_of_no_instance(before: v2.Envelope, convert: Convert) -> None:
    before.tags["__v1_type"] = "Error"
    expected = settled_v2(before, "Error")
    expected.tags["source"] = preferred(before, "source")
    expected.tags["code"] = str(integer(preferred(before, "code"), INT32))
    expected.log.payload = before.log.payload

    assert list(map(canonical, there_and_back(before, convert))) == [canonical(expected)]


@both
@given(before=counter_envelopes)
def test_a_counter_from_v2_to_v1_and_back(before: v2.Envelope, convert: Convert) -> None:
    expected = settled_v2(before, "CounterEvent", "instance_id")
    expected.instance_id = before.instance_id or merged(before).get("instance_id", "")
    expected.counter.CopyFrom(before.counter)

    assert list(map(canonical, there_and_back(before, convert))) == [canonical(expected)]


@both
@given(before=timer_envelopes)
def test_a_timer_from_v2_to_v1_and_back(before: v2.Envelope, convert: Convert) -> None:
    before.tags["request_id"] = "F47AC10B-58cc-4372-a567-0e02b2c3d479"
    expected = settled_v2(before, "HttpStartStop")
    expected.tags.update({name: preferred(before, name) for name in HTTP_TAGS})
    expected.tags["request_id"] = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    expected.tags["status_code"] = str(integer(expected.tags["status_code"], INT32))
    expected.tags["content_length"] = str(integer(expected.tags["content_length"]))
    for name, enum in (("peer_type", v1.PeerType), ("method", v1.Method)):
        if expected.tags[name] not in dict(enum.items()):
            expected.tags[name] = "0"
    if any(application_id := uuids.parse(before.source_id) or ()):
        expected.source_id = uuids.text_of(*application_id)  # in lower case, with hyphens
    expected.instance_id = str(integer(before.instance_id, INT32))
    expected.timer.CopyFrom(v2.Timer(name="http", start=before.timer.start, stop=before.timer.stop))

    assert list(map(canonical, there_and_back(before, convert))) == [canonical(expected)]


@both
@given(before=gauge_envelopes)
def test_metrics_from_v2_to_v1_and_back_come_one_by_one(before: v2.Envelope, convert: Convert) -> None:
    assume(not is_of_a_container(before))
    common = settled_v2(before, "ValueMetric")
    if before.instance_id:
        common.tags["instance_id"] = before.instance_id
    common.instance_id = merged(common).get("instance_id", "")

    after = there_and_back(before, convert)

    assert len(after) == len(before.gauge.metrics)
    together = v2.Gauge()
    for metric in after:
        together.MergeFrom(metric.gauge)
        metric.ClearField("gauge")
        assert canonical(metric) == canonical(common)
    assert canonical(v2.Envelope(gauge=together)) == canonical(v2.Envelope(gauge=before.gauge))


@both
@given(before=gauge_envelopes)
def test_a_container_from_v2_to_v1_and_back_keeps_its_five_metrics(before: v2.Envelope, convert: Convert) -> None:
    assume(is_of_a_container(before))
    metrics = before.gauge.metrics
    index = integer(before.instance_id, INT32)
    if "instance_index" in metrics:
        index = truncated(metrics["instance_index"].value, INT32)
    expected = settled_v2(before, "ContainerMetric")
    expected.instance_id = str(index)
    expected.gauge.metrics["cpu"].CopyFrom(v2.GaugeValue(unit="percentage", value=metrics["cpu"].value))
    for name in ("memory", "disk", "memory_quota", "disk_quota"):
        size = float(truncated(metrics[name].value, UINT64))
        expected.gauge.metrics[name].CopyFrom(v2.GaugeValue(unit="bytes", value=size))

    assert list(map(canonical, there_and_back(before, convert))) == [canonical(expected)]


def is_of_a_container(envelope: v2.Envelope) -> bool:
    metrics = envelope.gauge.metrics
    return all(name in metrics and (metrics[name].unit or metrics[name].value) for name in CONTAINER_METRICS)


@both
@given(before=event_envelopes | bare_envelopes)
def test_an_event_or_an_envelope_without_a_message_does_not_come_back(before: v2.Envelope, convert: Convert) -> None:
    assert there_and_back(before, convert) == []
