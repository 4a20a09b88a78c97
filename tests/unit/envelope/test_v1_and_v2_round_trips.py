"""What survives a trip through the other format, by the tables of loggregator.md 2.5 and 2.6."""

from collections.abc import Mapping

from hypothesis import assume, given
from hypothesis import strategies as st

from envelope import uuids
from envelope.deprecated_tags import text_of
from envelope.numbers_as_text import UINT64, fixed, truncated
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v1_to_v2 import to_v2
from envelope.v2_to_v1 import BASE_TAGS, HTTP_TAGS, to_v1
from tests.strategies import (
    canonical,
    counter_envelopes,
    gauge_envelopes,
    log_envelopes,
    timer_envelopes,
    v1_envelopes,
)

SIZES = ("memoryBytes", "diskBytes", "memoryBytesQuota", "diskBytesQuota")


def over_the_wire(envelope: v1.Envelope) -> v1.Envelope:
    return v1.Envelope.FromString(envelope.SerializePartialToString())


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


@given(v1_envelopes, st.booleans())
def test_from_v1_to_v2_and_back(before: v1.Envelope, preferred: bool) -> None:
    (after,) = to_v1(to_v2(before, preferred))

    assert canonical(over_the_wire(after)) == canonical(settled(before))


def all_tags(envelope: v2.Envelope) -> dict[str, str]:
    """Return the tags of both maps, those that v1 has fields for from the preferred one where it has them."""
    tags = dict(envelope.tags)
    for key, value in envelope.deprecated_tags.items():
        if (text := text_of(value, decimal=fixed)) is not None and (key not in BASE_TAGS or key not in tags):
            tags[key] = text
    return tags


def of_a_known_source(envelope: v2.Envelope) -> bool:
    return bool(envelope.source_id)


def common(before: v2.Envelope, after: v2.Envelope, v1_type: str, *spent: str) -> None:
    tags = all_tags(before)
    base = {name: tags.get(name, "") for name in BASE_TAGS}

    assert after.timestamp == before.timestamp
    assert after.source_id == before.source_id
    assert without(after.tags, *spent) == without(tags, *spent, "source_id")
    assert {name: after.tags[name] for name in base} == base
    assert after.tags["__v1_type"] == v1_type


@given(log_envelopes.filter(of_a_known_source))
def test_a_log_from_v2_to_v1_and_back(before: v2.Envelope) -> None:
    assume(all_tags(before).get("__v1_type") != "Error" and before.tags.get("__v1_type") != "Error")

    (over_there,) = to_v1(before)
    after = to_v2(over_the_wire(over_there))

    common(before, after, "LogMessage", "source_type")
    assert after.instance_id == before.instance_id
    assert after.log.payload == before.log.payload
    assert (after.log.type == v2.Log.OUT) == (before.log.type == v2.Log.OUT)


@given(counter_envelopes.filter(of_a_known_source))
def test_a_counter_from_v2_to_v1_and_back(before: v2.Envelope) -> None:
    (over_there,) = to_v1(before)
    after = to_v2(over_the_wire(over_there))

    common(before, after, "CounterEvent", "instance_id")
    assert after.instance_id == before.instance_id or all_tags(before).get("instance_id", "")
    assert after.counter == before.counter


@given(timer_envelopes.filter(of_a_known_source))
def test_a_timer_from_v2_to_v1_and_back(before: v2.Envelope) -> None:
    before.tags["request_id"] = "F47AC10B-58cc-4372-a567-0e02b2c3d479"
    assume(uuids.parse(before.source_id) is None)  # else it comes back in lower case

    (over_there,) = to_v1(before)
    after = to_v2(over_the_wire(over_there))

    common(before, after, "HttpStartStop", *HTTP_TAGS)
    assert after.tags["request_id"] == "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    assert after.tags["forwarded"] == before.tags.get("forwarded", text_in_deprecated(before, "forwarded"))
    assert (after.timer.start, after.timer.stop) == (before.timer.start, before.timer.stop)


def text_in_deprecated(envelope: v2.Envelope, key: str) -> str:
    return text_of(envelope.deprecated_tags[key], decimal=fixed) or "" if key in envelope.deprecated_tags else ""


@given(gauge_envelopes.filter(lambda envelope: 0 < len(envelope.gauge.metrics) < 5))
def test_metrics_from_v2_to_v1_and_back(before: v2.Envelope) -> None:
    after = v2.Gauge()
    for result in to_v1(before):
        after.MergeFrom(to_v2(over_the_wire(result)).gauge)

    assert canonical(v2.Envelope(gauge=after)) == canonical(v2.Envelope(gauge=before.gauge))
