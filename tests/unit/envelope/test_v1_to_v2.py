"""The table of loggregator.md 2.5, row by row, and what lies between the rows."""

from typing import Any

import pytest
from google.protobuf.message import DecodeError as ProtobufDecodeError
from hypothesis import given, reject
from hypothesis import strategies as st

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v1_to_v2 import to_v2
from tests.strategies import UUID_TEXT, canonical, v1_envelopes

LOW, HIGH = 0x7243CC580BC17AF4, 0x79D4C3B2020E67A5
NIL = "00000000-0000-0000-0000-000000000000"

HTTP_TAGS = {
    "request_id": NIL,
    "peer_type": "Client",
    "method": "GET",
    "uri": "",
    "remote_address": "",
    "user_agent": "",
    "status_code": "0",
    "content_length": "0",
    "routing_instance_id": "",
    "forwarded": "",
}


def common_tags(v1_type: str, **others: str) -> dict[str, str]:
    return {"origin": "", "deployment": "", "job": "", "index": "", "ip": "", "__v1_type": v1_type, **others}


def of_type(name: str, **fields: Any) -> v1.Envelope:
    return v1.Envelope(origin="", eventType=name, **fields)


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


@pytest.mark.parametrize(
    ("fields", "source_id"),
    [
        ({}, "/"),
        ({"deployment": "cf", "job": "router"}, "cf/router"),
        ({"deployment": "cf"}, "cf/"),
        ({"deployment": "cf", "job": "router", "tags": {"source_id": "gorouter"}}, "gorouter"),
        ({"deployment": "cf", "job": "router", "tags": {"source_id": ""}}, ""),
    ],
)
def test_source_id_is_the_tag_of_that_name_or_else_deployment_and_job(fields: dict[str, Any], source_id: str) -> None:
    envelope = of_type("ValueMetric", valueMetric=v1.ValueMetric(name="n", value=1, unit="u"), **fields)

    result = to_v2(envelope)

    assert result.source_id == source_id
    assert "source_id" not in result.tags


def test_an_app_id_goes_before_the_tag() -> None:
    log = v1.LogMessage(message=b"", message_type="OUT", timestamp=1, app_id="app")

    assert to_v2(of_type("LogMessage", tags={"source_id": "tag"}, logMessage=log)).source_id == "app"


def test_the_fields_of_an_envelope_go_before_tags_of_their_name() -> None:
    log = v1.LogMessage(message=b"", message_type="OUT", timestamp=1, source_type="APP")
    tags = {"origin": "t", "ip": "t", "__v1_type": "t", "source_type": "t", "own": "stays"}

    result = to_v2(v1.Envelope(origin="o", eventType="LogMessage", tags=tags, logMessage=log))

    assert result.tags == {
        **common_tags("LogMessage", source_type="APP", own="stays"),
        "origin": "o",
    }


@pytest.mark.parametrize(
    ("number", "text"), [(b"\x00", "0"), (b"\x63", "99"), (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "-1")]
)
def test_an_enum_number_without_a_name_reads_as_the_number(number: bytes, text: str) -> None:
    http = v1.HttpStartStop.FromString(b"\x20" + number + b"\x28" + number)

    result = to_v2(of_type("HttpStartStop", httpStartStop=http))

    assert (result.tags["peer_type"], result.tags["method"]) == (text, text)


def test_the_last_number_without_a_name_counts() -> None:
    http = v1.HttpStartStop.FromString(b"\x28\x00\x28\x63\x2a\x01a")  # the third is no number

    assert to_v2(of_type("HttpStartStop", httpStartStop=http)).tags["method"] == "99"


def test_a_log_type_without_a_name_is_stdout() -> None:
    log = v1.LogMessage.FromString(b"\x0a\x01a\x10\x07\x18\x01")

    assert to_v2(of_type("LogMessage", logMessage=log)).log == v2.Log(payload=b"a", type="OUT")


def test_an_event_type_without_a_name_leaves_a_bare_envelope() -> None:
    result = to_v2(v1.Envelope.FromString(b"\x0a\x01o\x10\x03\x30\x05"))

    assert result == v2.Envelope(timestamp=5, source_id="/", tags={**common_tags("3"), "origin": "o"})


def test_text_that_is_not_utf8_gets_replacement_characters() -> None:
    result = to_v2(
        v1.Envelope.FromString(b"\x0a\x02o\xff\x10\x06\x8a\x01\x07\x0a\x01k\x12\x02v\xff\x4a\x03\x0a\x01\xff")
    )

    assert (result.tags["origin"], result.tags["k"]) == ("o�", "v�")
    assert list(result.gauge.metrics) == ["�"]


def test_a_tag_whose_name_is_not_utf8_is_left_out() -> None:
    result = to_v2(v1.Envelope.FromString(b"\x10\x06\x8a\x01\x06\x0a\x01\xff\x12\x01v\x8a\x01\x06\x0a\x01k\x12\x01v"))

    assert result.tags == common_tags("ValueMetric", k="v")


def test_an_error_message_that_is_not_utf8_stays_as_it_is() -> None:
    error = v1.Error.FromString(b"\x0a\x01s\x10\x01\x1a\x01\xff")

    assert to_v2(of_type("Error", error=error)).log.payload == b"\xff"


serialised = v1_envelopes.map(v1.Envelope.SerializePartialToString)


@given(st.binary(max_size=40) | st.builds(bytes.__add__, serialised, st.binary(max_size=10)))
def test_whatever_parses_has_a_v2_form_that_serialises(message: bytes) -> None:
    try:
        envelope = v1.Envelope.FromString(message)
    except ProtobufDecodeError:
        reject()
    result = to_v2(envelope)

    assert canonical(v2.Envelope.FromString(result.SerializeToString())) == canonical(result)
