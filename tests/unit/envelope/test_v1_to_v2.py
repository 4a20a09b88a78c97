"""The table of loggregator.md 2.5, row by row; what lies between the rows is in test_v1_to_v2_edges.py."""

import pytest
from google.protobuf.message import DecodeError as ProtobufDecodeError
from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v1_to_v2 import to_v2, to_v2_batch
from tests.strategies import UUID_TEXT, canonical, parsed, v1_envelopes
from tests.unit.envelope.v2_forms import HIGH, HTTP_TAGS, LOW, common_tags, of_type

ROWS = {
    "log to stdout": (
        of_type(
            "LogMessage",
            timestamp=9,
            logMessage=v1.LogMessage(
                message=b"\xff\x00",
                message_type="OUT",
                timestamp=1,
                app_id="app",
                source_type="APP",
                source_instance="3",
            ),
        ),
        v2.Envelope(
            timestamp=9,
            source_id="app",
            instance_id="3",
            tags=common_tags("LogMessage", source_type="APP"),
            log=v2.Log(payload=b"\xff\x00", type="OUT"),
        ),
    ),
    "log to stderr, nothing else known": (
        of_type("LogMessage", logMessage=v1.LogMessage(message=b"", message_type="ERR", timestamp=1)),
        v2.Envelope(
            source_id="/",
            tags=common_tags("LogMessage", source_type=""),
            log=v2.Log(type="ERR"),
        ),
    ),
    "http": (
        of_type(
            "HttpStartStop",
            httpStartStop=v1.HttpStartStop(
                startTimestamp=1,
                stopTimestamp=2,
                requestId=v1.UUID(low=LOW, high=HIGH),
                peerType="Server",
                method="VERSION_CONTROL",
                uri="/a",
                remoteAddress="10.0.0.1:80",
                userAgent="curl",
                statusCode=-1,
                contentLength=-(2**63),
                applicationId=v1.UUID(low=LOW, high=0),
                instanceIndex=-7,
                instanceId="cell",
                forwarded=["a", "b"],
            ),
        ),
        v2.Envelope(
            source_id="f47ac10b-58cc-4372-0000-000000000000",
            instance_id="-7",
            tags=common_tags(
                "HttpStartStop",
                request_id=UUID_TEXT,
                peer_type="Server",
                method="VERSION_CONTROL",
                uri="/a",
                remote_address="10.0.0.1:80",
                user_agent="curl",
                status_code="-1",
                content_length="-9223372036854775808",
                routing_instance_id="cell",
                forwarded="a\nb",
            ),
            timer=v2.Timer(name="http", start=1, stop=2),
        ),
    ),
    "http without optional fields": (
        of_type("HttpStartStop", httpStartStop=v1.HttpStartStop(requestId=v1.UUID(low=0, high=0))),
        v2.Envelope(
            source_id="/",
            instance_id="0",
            tags=common_tags("HttpStartStop", **HTTP_TAGS),
            timer=v2.Timer(name="http"),
        ),
    ),
    "http of the app of all zeros": (
        of_type(
            "HttpStartStop",
            tags={"source_id": "router"},
            httpStartStop=v1.HttpStartStop(applicationId=v1.UUID(low=0, high=0)),
        ),
        v2.Envelope(
            source_id="router",
            instance_id="0",
            tags=common_tags("HttpStartStop", **HTTP_TAGS),
            timer=v2.Timer(name="http"),
        ),
    ),
    "value metric": (
        of_type(
            "ValueMetric",
            tags={"instance_id": "4"},
            valueMetric=v1.ValueMetric(name="heat", value=36.6, unit="C"),
        ),
        v2.Envelope(
            source_id="/",
            instance_id="4",
            tags=common_tags("ValueMetric", instance_id="4"),
            gauge=v2.Gauge(metrics={"heat": v2.GaugeValue(unit="C", value=36.6)}),
        ),
    ),
    "counter": (
        of_type(
            "CounterEvent",
            tags={"instance_id": "4"},
            counterEvent=v1.CounterEvent(name="hits", delta=2, total=2**64 - 1),
        ),
        v2.Envelope(
            source_id="/",
            instance_id="4",
            tags=common_tags("CounterEvent"),
            counter=v2.Counter(name="hits", delta=2, total=2**64 - 1),
        ),
    ),
    "counter of nothing": (
        of_type("CounterEvent", counterEvent=v1.CounterEvent(name="", delta=0)),
        v2.Envelope(source_id="/", tags=common_tags("CounterEvent"), counter=v2.Counter()),
    ),
    "container": (
        of_type(
            "ContainerMetric",
            containerMetric=v1.ContainerMetric(
                applicationId="app",
                instanceIndex=5,
                cpuPercentage=0.5,
                memoryBytes=1,
                diskBytes=2,
                memoryBytesQuota=3,
                diskBytesQuota=4,
            ),
        ),
        v2.Envelope(
            source_id="app",
            instance_id="5",
            tags=common_tags("ContainerMetric"),
            gauge=v2.Gauge(
                metrics={
                    "cpu": v2.GaugeValue(unit="percentage", value=0.5),
                    "memory": v2.GaugeValue(unit="bytes", value=1),
                    "disk": v2.GaugeValue(unit="bytes", value=2),
                    "memory_quota": v2.GaugeValue(unit="bytes", value=3),
                    "disk_quota": v2.GaugeValue(unit="bytes", value=4),
                }
            ),
        ),
    ),
    "container of no app, without quotas": (
        of_type(
            "ContainerMetric",
            tags={"source_id": "cell"},
            containerMetric=v1.ContainerMetric(
                applicationId="", instanceIndex=-1, cpuPercentage=0, memoryBytes=2**63, diskBytes=0
            ),
        ),
        v2.Envelope(
            source_id="cell",
            instance_id="-1",
            tags=common_tags("ContainerMetric"),
            gauge=v2.Gauge(
                metrics={
                    "cpu": v2.GaugeValue(unit="percentage"),
                    "memory": v2.GaugeValue(unit="bytes", value=2.0**63),
                    "disk": v2.GaugeValue(unit="bytes"),
                    "memory_quota": v2.GaugeValue(unit="bytes"),
                    "disk_quota": v2.GaugeValue(unit="bytes"),
                }
            ),
        ),
    ),
    "http of an app by one half of its id": (
        of_type("HttpStartStop", httpStartStop=v1.HttpStartStop(applicationId=v1.UUID(low=0, high=HIGH))),
        v2.Envelope(
            source_id="00000000-0000-0000-a567-0e02b2c3d479",
            instance_id="0",
            tags=common_tags("HttpStartStop", **HTTP_TAGS),
            timer=v2.Timer(name="http"),
        ),
    ),
    "http of extremes": (
        of_type(
            "HttpStartStop",
            timestamp=-(2**63),
            httpStartStop=v1.HttpStartStop(
                startTimestamp=-(2**63),
                stopTimestamp=2**63 - 1,
                requestId=v1.UUID(low=2**64 - 1, high=2**64 - 1),
                statusCode=-(2**31),
                contentLength=2**63 - 1,
                instanceIndex=-(2**31),
            ),
        ),
        v2.Envelope(
            timestamp=-(2**63),
            source_id="/",
            instance_id="-2147483648",
            tags=common_tags(
                "HttpStartStop",
                **{
                    **HTTP_TAGS,
                    "request_id": "ffffffff-ffff-ffff-ffff-ffffffffffff",
                    "status_code": "-2147483648",
                    "content_length": "9223372036854775807",
                },
            ),
            timer=v2.Timer(name="http", start=-(2**63), stop=2**63 - 1),
        ),
    ),
    "value metric of extremes": (
        of_type(
            "ValueMetric",
            timestamp=2**63 - 1,
            valueMetric=v1.ValueMetric(name="", value=-1.7976931348623157e308, unit=""),
        ),
        v2.Envelope(
            timestamp=2**63 - 1,
            source_id="/",
            tags=common_tags("ValueMetric"),
            gauge=v2.Gauge(metrics={"": v2.GaugeValue(value=-1.7976931348623157e308)}),
        ),
    ),
    "container of extremes": (
        of_type(
            "ContainerMetric",
            containerMetric=v1.ContainerMetric(
                applicationId="app",
                instanceIndex=-(2**31),
                cpuPercentage=-0.5,
                memoryBytes=2**64 - 1,
                diskBytes=2**53 + 1,
            ),
        ),
        v2.Envelope(
            source_id="app",
            instance_id="-2147483648",
            tags=common_tags("ContainerMetric"),
            gauge=v2.Gauge(
                metrics={
                    "cpu": v2.GaugeValue(unit="percentage", value=-0.5),
                    "memory": v2.GaugeValue(unit="bytes", value=2.0**64),
                    "disk": v2.GaugeValue(unit="bytes", value=2.0**53),
                    "memory_quota": v2.GaugeValue(unit="bytes"),
                    "disk_quota": v2.GaugeValue(unit="bytes"),
                }
            ),
        ),
    ),
    "error": (
        of_type("Error", error=v1.Error(source="disk", code=-5, message="full")),
        v2.Envelope(
            source_id="/",
            tags=common_tags("Error", source="disk", code="-5"),
            log=v2.Log(payload=b"full", type="OUT"),
        ),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_row(row: str) -> None:
    before, after = ROWS[row]

    assert to_v2(before) == after


@pytest.mark.parametrize("row", ROWS)
def test_each_row_with_deprecated_tags(row: str) -> None:
    before, after = ROWS[row]
    expected = v2.Envelope(deprecated_tags={key: v2.Value(text=text) for key, text in after.tags.items()})
    expected.MergeFrom(after)
    expected.ClearField("tags")

    assert to_v2(before, preferred=False) == expected


@given(v1_envelopes)
def test_deprecated_tags_say_the_same_as_text(envelope: v1.Envelope) -> None:
    preferred = to_v2(envelope)

    deprecated = to_v2(envelope, preferred=False)

    assert not deprecated.tags
    for key, value in deprecated.deprecated_tags.items():
        assert value.WhichOneof("data") == "text"
        deprecated.tags[key] = value.text
    deprecated.ClearField("deprecated_tags")
    assert canonical(deprecated) == canonical(preferred)


@given(v1_envelopes, st.booleans())
def test_the_v1_envelope_stays_as_it_was(envelope: v1.Envelope, preferred: bool) -> None:
    before = canonical(envelope)

    to_v2(envelope, preferred)

    assert canonical(envelope) == before


serialised = v1_envelopes.map(v1.Envelope.SerializePartialToString)


@given(st.binary(max_size=40) | st.builds(bytes.__add__, serialised, st.binary(max_size=10)))
def test_whatever_parses_has_a_v2_form_that_serialises(message: bytes) -> None:
    try:
        envelope = v1.Envelope.FromString(message)
    except ProtobufDecodeError:
        return  # many do not: hypothesis would complain of rejecting them
    result = to_v2(envelope)

    assert canonical(v2.Envelope.FromString(result.SerializeToString())) == canonical(result)


@given(st.lists(v1_envelopes, max_size=5))
def test_a_batch_has_them_in_order(envelopes: list[v1.Envelope]) -> None:
    batch, malformed = to_v2_batch([envelope.SerializeToString() for envelope in envelopes])

    assert malformed == 0
    assert [canonical(each) for each in parsed(batch)] == [canonical(to_v2(envelope)) for envelope in envelopes]


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_whatever_comes_is_an_envelope_or_malformed(messages: list[bytes]) -> None:
    batch, malformed = to_v2_batch(messages)

    clean, count, _, unclean = kernel.admit(batch)
    assert (clean, count + malformed, unclean) == (batch, len(messages), 0)
    assert to_v2_batch(messages) == (batch, malformed)
