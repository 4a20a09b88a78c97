"""The table of loggregator.md 2.6, row by row; what lies between the rows is in test_v2_to_v1_*.py."""

import pytest
from hypothesis import given

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v2_to_v1 import to_v1
from envelope.wire import fields
from tests.strategies import UUID_TEXT, canonical, envelopes
from tests.unit.envelope.v1_forms import HIGH, LOW, NIL, Convert, both, container, gauge, of_type

ROWS = {
    "log to stdout": (
        v2.Envelope(
            timestamp=9,
            source_id="app",
            instance_id="3",
            tags={"source_type": "APP", "own": "stays"},
            log=v2.Log(payload=b"\xff\x00", type="OUT"),
        ),
        of_type(
            "LogMessage",
            timestamp=9,
            tags={"source_id": "app", "own": "stays"},
            logMessage=v1.LogMessage(
                message=b"\xff\x00",
                message_type="OUT",
                timestamp=9,
                app_id="app",
                source_type="APP",
                source_instance="3",
            ),
        ),
    ),
    "log to stderr, nothing else known": (
        v2.Envelope(log=v2.Log(type="ERR")),
        of_type(
            "LogMessage",
            logMessage=v1.LogMessage(
                message=b"", message_type="ERR", timestamp=0, app_id="", source_type="", source_instance=""
            ),
        ),
    ),
    "log that once was an error": (
        v2.Envelope(
            source_id="cell",
            instance_id="3",
            tags={"__v1_type": "Error", "source": "disk", "code": "-5", "source_type": "stays"},
            log=v2.Log(payload=b"full", type="ERR"),
        ),
        of_type(
            "Error",
            tags={"source_id": "cell", "source_type": "stays"},
            error=v1.Error(source="disk", code=-5, message="full"),
        ),
    ),
    "error by a deprecated tag, no code": (
        v2.Envelope(
            deprecated_tags={"__v1_type": v2.Value(text="Error"), "code": v2.Value(text="five")},
            log=v2.Log(payload=b"full"),
        ),
        of_type("Error", error=v1.Error(source="", code=0, message="full")),
    ),
    "counter": (
        v2.Envelope(instance_id="3", tags={"own": "stays"}, counter=v2.Counter(name="hits", delta=2, total=2**64 - 1)),
        of_type(
            "CounterEvent",
            tags={"instance_id": "3", "own": "stays"},
            counterEvent=v1.CounterEvent(name="hits", delta=2, total=2**64 - 1),
        ),
    ),
    "counter of nothing": (
        v2.Envelope(counter=v2.Counter()),
        of_type("CounterEvent", counterEvent=v1.CounterEvent(name="", delta=0, total=0)),
    ),
    "gauge": (
        v2.Envelope(instance_id="3", gauge=gauge(heat=("C", 36.6))),
        of_type(
            "ValueMetric",
            tags={"instance_id": "3"},
            valueMetric=v1.ValueMetric(name="heat", value=36.6, unit="C"),
        ),
    ),
    "gauge whose metric holds nothing": (
        v2.Envelope(gauge=gauge(heat=("", 0.0))),
        of_type("ValueMetric", valueMetric=v1.ValueMetric(name="heat", value=0, unit="")),
    ),
    "gauge of one of a container's metrics": (
        v2.Envelope(gauge=gauge(cpu=("percentage", 1.0))),
        of_type("ValueMetric", valueMetric=v1.ValueMetric(name="cpu", value=1, unit="percentage")),
    ),
    "container": (
        v2.Envelope(
            source_id="app",
            instance_id="3",
            gauge=gauge(
                cpu=("percentage", 0.5),
                memory=("bytes", 1.9),
                disk=("", 2.0),
                memory_quota=("bytes", 0.0),
                disk_quota=("bytes", 2.0**63),
                extra=("is lost", 1.0),
            ),
        ),
        of_type(
            "ContainerMetric",
            tags={"source_id": "app"},
            containerMetric=v1.ContainerMetric(
                applicationId="app",
                instanceIndex=3,
                cpuPercentage=0.5,
                memoryBytes=1,
                diskBytes=2,
                memoryBytesQuota=0,
                diskBytesQuota=2**63,
            ),
        ),
    ),
    "timer": (
        v2.Envelope(
            source_id=UUID_TEXT,
            instance_id="-7",
            tags={
                "request_id": UUID_TEXT,
                "peer_type": "Server",
                "method": "VERSION_CONTROL",
                "uri": "/a",
                "remote_address": "10.0.0.1:80",
                "user_agent": "curl",
                "status_code": "404",
                "content_length": "-9223372036854775808",
                "routing_instance_id": "cell",
                "forwarded": "a\n\nb",
                "own": "stays",
            },
            timer=v2.Timer(name="any name", start=1, stop=-2),
        ),
        of_type(
            "HttpStartStop",
            tags={"source_id": UUID_TEXT, "own": "stays"},
            httpStartStop=v1.HttpStartStop(
                startTimestamp=1,
                stopTimestamp=-2,
                requestId=v1.UUID(low=LOW, high=HIGH),
                peerType="Server",
                method="VERSION_CONTROL",
                uri="/a",
                remoteAddress="10.0.0.1:80",
                userAgent="curl",
                statusCode=404,
                contentLength=-(2**63),
                applicationId=v1.UUID(low=LOW, high=HIGH),
                instanceIndex=-7,
                instanceId="cell",
                forwarded=["a", "", "b"],
            ),
        ),
    ),
    "timer of no app that says no more than it must": (
        v2.Envelope(
            source_id="router",
            instance_id="one",
            tags={"request_id": UUID_TEXT, "peer_type": "Client", "method": "GET", "status_code": "-"},
            timer=v2.Timer(),
        ),
        of_type(
            "HttpStartStop",
            tags={"source_id": "router"},
            httpStartStop=v1.HttpStartStop(
                startTimestamp=0,
                stopTimestamp=0,
                requestId=v1.UUID(low=LOW, high=HIGH),
                peerType="Client",
                method="GET",
                uri="",
                remoteAddress="",
                userAgent="",
                statusCode=0,
                contentLength=0,
                instanceIndex=0,
                instanceId="",
                forwarded=[""],
            ),
        ),
    ),
    "log at the very end of time": (
        v2.Envelope(timestamp=2**63 - 1, log=v2.Log(payload=b"x", type=7)),
        of_type(
            "LogMessage",
            timestamp=2**63 - 1,
            logMessage=v1.LogMessage(
                message=b"x", message_type="ERR", timestamp=2**63 - 1, app_id="", source_type="", source_instance=""
            ),
        ),
    ),
    "gauge of a very negative value": (
        v2.Envelope(timestamp=-(2**63), gauge=gauge(debt=("EUR", -1.7976931348623157e308))),
        of_type(
            "ValueMetric",
            timestamp=-(2**63),
            valueMetric=v1.ValueMetric(name="debt", value=-1.7976931348623157e308, unit="EUR"),
        ),
    ),
    "container that says its index itself": (
        v2.Envelope(
            instance_id="3", gauge=container(cpu=("", -1.5), memory=("", 1e15 + 0.5), instance_index=("", -7.9))
        ),
        of_type(
            "ContainerMetric",
            containerMetric=v1.ContainerMetric(
                applicationId="",
                instanceIndex=-7,
                cpuPercentage=-1.5,
                memoryBytes=10**15,
                diskBytes=1,
                memoryBytesQuota=1,
                diskBytesQuota=1,
            ),
        ),
    ),
    "timer of extremes": (
        v2.Envelope(
            source_id=NIL,
            instance_id="-2147483648",
            tags={
                "request_id": NIL,
                "peer_type": "Client",
                "method": "GET",
                "status_code": "-2147483648",
                "content_length": "9223372036854775807",
                "forwarded": "\n",
            },
            timer=v2.Timer(start=-(2**63), stop=2**63 - 1),
        ),
        of_type(
            "HttpStartStop",
            tags={"source_id": NIL},
            httpStartStop=v1.HttpStartStop(
                startTimestamp=-(2**63),
                stopTimestamp=2**63 - 1,
                requestId=v1.UUID(low=0, high=0),
                peerType="Client",
                method="GET",
                uri="",
                remoteAddress="",
                userAgent="",
                statusCode=-(2**31),
                contentLength=2**63 - 1,
                applicationId=v1.UUID(low=0, high=0),
                instanceIndex=-(2**31),
                instanceId="",
                forwarded=["", ""],
            ),
        ),
    ),
}


@both
@pytest.mark.parametrize("row", ROWS)
def test_each_row(row: str, convert: Convert) -> None:
    before, after = ROWS[row]

    assert convert(before) == [after]


@both
@pytest.mark.parametrize(
    "envelope",
    [
        pytest.param(v2.Envelope(event=v2.Event(title="t", body="b")), id="event"),
        pytest.param(v2.Envelope(source_id="s"), id="bare"),
        pytest.param(v2.Envelope(gauge=v2.Gauge()), id="gauge without metrics"),
        pytest.param(v2.Envelope(timer=v2.Timer(name="http")), id="timer without a request id"),
        pytest.param(v2.Envelope(tags={"request_id": "abc"}, timer=v2.Timer()), id="timer with a short one"),
        pytest.param(v2.Envelope(tags={"request_id": "g" * 36}, timer=v2.Timer()), id="timer with another"),
        pytest.param(
            v2.Envelope(
                tags={"request_id": ""}, deprecated_tags={"request_id": v2.Value(text=UUID_TEXT)}, timer=v2.Timer()
            ),
            id="timer whose preferred request id is empty",
        ),
    ],
)
def test_some_have_no_v1_form(envelope: v2.Envelope, convert: Convert) -> None:
    assert convert(envelope) == []


# --- all of them ------------------------------------------------------------------------------------------------------

FIELD_NUMBER = {"httpStartStop.peerType": 4, "httpStartStop.method": 5}


def field_numbers(http: v1.HttpStartStop) -> set[int]:
    return {field.tag >> 3 for field in fields(http.SerializePartialToString())}


@both
@given(envelope=envelopes)
def test_nothing_that_v1_requires_is_missing(envelope: v2.Envelope, convert: Convert) -> None:
    for result in convert(envelope):
        missing = set(result.FindInitializationErrors())

        assert missing <= {"httpStartStop.peerType", "httpStartStop.method"}
        if missing:
            assert set(map(FIELD_NUMBER.get, missing)) <= field_numbers(result.httpStartStop)


@given(envelopes)
def test_the_v2_envelope_stays_as_it_was(envelope: v2.Envelope) -> None:
    before = canonical(envelope)

    to_v1(envelope)

    assert canonical(envelope) == before
