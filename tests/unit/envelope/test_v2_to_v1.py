"""The table of loggregator.md 2.6, row by row, and what lies between the rows."""

import math
from typing import Any

import pytest
from hypothesis import given

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v2_to_v1 import CONTAINER_METRICS, HTTP_TAGS, to_v1
from envelope.wire import fields
from tests.strategies import UUID_TEXT, canonical, envelopes

LOW, HIGH = 0x7243CC580BC17AF4, 0x79D4C3B2020E67A5
BASE: dict[str, Any] = {"origin": "", "timestamp": 0, "deployment": "", "job": "", "index": "", "ip": ""}


def of_type(name: str, **others: Any) -> v1.Envelope:
    return v1.Envelope(**{**BASE, "eventType": name, **others})


def only(envelope: v2.Envelope) -> v1.Envelope:
    """Convert what has exactly one v1 form, and take it over the wire."""
    (result,) = to_v1(envelope)
    return v1.Envelope.FromString(result.SerializePartialToString())


def container(**metrics: tuple[str, float]) -> v2.Gauge:
    of_a_container = dict.fromkeys(CONTAINER_METRICS, ("bytes", 1.0))
    return gauge(**{**of_a_container, **metrics})


def gauge(**metrics: tuple[str, float]) -> v2.Gauge:
    return v2.Gauge(metrics={name: v2.GaugeValue(unit=unit, value=value) for name, (unit, value) in metrics.items()})


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
}


@pytest.mark.parametrize("row", ROWS)
def test_each_row(row: str) -> None:
    before, after = ROWS[row]

    assert only(before) == after


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
def test_some_have_no_v1_form(envelope: v2.Envelope) -> None:
    assert to_v1(envelope) == []


# --- tags -------------------------------------------------------------------------------------------------------------


def test_base_fields_come_from_tags_the_preferred_first() -> None:
    envelope = v2.Envelope(
        tags={"origin": "o", "deployment": "d"},
        deprecated_tags={
            "origin": v2.Value(text="loses"),
            "job": v2.Value(text="j"),
            "index": v2.Value(integer=-4),
            "ip": v2.Value(decimal=1.5),
        },
        counter=v2.Counter(name="n"),
    )

    result = only(envelope)

    assert (result.origin, result.deployment, result.job, result.index, result.ip) == ("o", "d", "j", "-4", "1.500000")


def test_other_tags_come_from_both_maps_the_deprecated_wins() -> None:
    envelope = v2.Envelope(
        tags={"clash": "loses", "own": "stays", "kept": "has a value"},
        deprecated_tags={
            "clash": v2.Value(text="wins"),
            "integer": v2.Value(integer=2**62),
            "decimal": v2.Value(decimal=1e21),
            "nan": v2.Value(decimal=math.nan),
            "kept": v2.Value(),
            "nothing": v2.Value(),
        },
        counter=v2.Counter(name="n"),
    )

    assert only(envelope).tags == {
        "clash": "wins",
        "own": "stays",
        "integer": "4611686018427387904",
        "decimal": "1000000000000000000000.000000",
        "nan": "NaN",
        "kept": "has a value",
    }


def test_a_deprecated_value_that_holds_nothing_reads_as_empty() -> None:
    assert only(v2.Envelope(deprecated_tags={"origin": v2.Value()}, counter=v2.Counter())).origin == ""


def test_what_has_a_field_of_its_own_leaves_the_tags() -> None:
    tags = dict.fromkeys(("__v1_type", "origin", "deployment", "job", "index", "ip"), "x")
    deprecated = {key: v2.Value(text="x") for key in tags}

    assert not only(v2.Envelope(tags=tags, deprecated_tags=deprecated, counter=v2.Counter())).tags


@pytest.mark.parametrize(("source_id", "tag"), [("s", "s"), ("", "t")])
def test_the_tag_source_id_gives_way_to_a_source_id(source_id: str, tag: str) -> None:
    envelope = v2.Envelope(source_id=source_id, tags={"source_id": "t"}, counter=v2.Counter())

    assert only(envelope).tags == {"source_id": tag}


@pytest.mark.parametrize(("instance_id", "tag"), [("3", "3"), ("", "t")])
@pytest.mark.parametrize("message", [{"counter": v2.Counter()}, {"gauge": gauge(heat=("C", 1.0))}])
def test_the_tag_instance_id_gives_way_to_an_instance_id(message: dict[str, Any], instance_id: str, tag: str) -> None:
    envelope = v2.Envelope(instance_id=instance_id, tags={"instance_id": "t"}, **message)

    assert only(envelope).tags == {"instance_id": tag}


@pytest.mark.parametrize(
    "envelope",
    [
        v2.Envelope(instance_id="3", log=v2.Log()),
        v2.Envelope(instance_id="3", gauge=container()),
        v2.Envelope(instance_id="3", tags={"request_id": UUID_TEXT}, timer=v2.Timer()),
    ],
)
def test_what_has_a_field_for_the_instance_gets_no_tag_of_it(envelope: v2.Envelope) -> None:
    assert not only(envelope).tags


def test_a_timer_keeps_none_of_its_ten_tags() -> None:
    deprecated = {name: v2.Value(text="x") for name in HTTP_TAGS}
    envelope = v2.Envelope(tags={"request_id": UUID_TEXT}, deprecated_tags=deprecated, timer=v2.Timer())

    result = only(envelope)

    assert len(HTTP_TAGS) == 10
    assert not result.tags
    assert result.httpStartStop.uri == "x"


# --- logs -------------------------------------------------------------------------------------------------------------


def test_any_log_type_but_stdout_is_stderr() -> None:
    assert only(v2.Envelope(log=v2.Log(type=7))).logMessage.message_type == v1.LogMessage.ERR


def test_an_error_keeps_a_payload_that_is_not_utf8() -> None:
    (result,) = to_v1(v2.Envelope(tags={"__v1_type": "Error"}, log=v2.Log(payload=b"\xff\x00")))

    assert b"\x1a\x02\xff\x00" in result.SerializePartialToString()


@pytest.mark.parametrize("v1_type", ["LogMessage", "error", ""])
def test_only_the_tag_of_an_error_makes_an_error(v1_type: str) -> None:
    assert only(v2.Envelope(tags={"__v1_type": v1_type}, log=v2.Log())).HasField("logMessage")


# --- gauges -----------------------------------------------------------------------------------------------------------


def test_a_gauge_becomes_a_value_metric_for_each_of_its_metrics() -> None:
    results = to_v1(v2.Envelope(instance_id="3", gauge=gauge(heat=("C", 36.6), mass=("kg", 2.0))))

    assert {(r.valueMetric.name, r.valueMetric.value, r.valueMetric.unit) for r in results} == {
        ("heat", 36.6, "C"),
        ("mass", 2.0, "kg"),
    }
    assert all(result.tags == {"instance_id": "3"} for result in results)


@pytest.mark.parametrize("name", CONTAINER_METRICS)
def test_a_container_has_all_of_its_five_metrics(name: str) -> None:
    incomplete = container()
    del incomplete.metrics[name]

    results = to_v1(v2.Envelope(gauge=incomplete))

    assert sorted(result.valueMetric.name for result in results) == sorted(set(CONTAINER_METRICS) - {name})


@pytest.mark.parametrize("name", CONTAINER_METRICS)
def test_a_metric_with_neither_unit_nor_value_makes_no_container(name: str) -> None:
    results = to_v1(v2.Envelope(gauge=container(**{name: ("", -0.0)})))

    assert sorted(result.valueMetric.name for result in results) == sorted(CONTAINER_METRICS)


@pytest.mark.parametrize("metric", [("bytes", 0.0), ("", 5e-324), ("", math.nan)])
def test_a_unit_or_a_value_is_enough(metric: tuple[str, float]) -> None:
    assert only(v2.Envelope(gauge=container(memory=metric))).HasField("containerMetric")


@pytest.mark.parametrize(
    ("value", "stored"),
    [(1.999, 1), (-1.5, 0), (2.0**64, 2**64 - 1), (math.inf, 2**64 - 1), (-math.inf, 0), (math.nan, 0)],
)
def test_sizes_are_truncated_and_stay_in_bounds(value: float, stored: int) -> None:
    sizes = dict.fromkeys(("memory", "disk", "memory_quota", "disk_quota"), ("bytes", value))

    result = only(v2.Envelope(gauge=container(**sizes))).containerMetric

    assert result.memoryBytes == result.diskBytes == result.memoryBytesQuota == result.diskBytesQuota == stored


@pytest.mark.parametrize(
    ("instance_id", "index"), [("", 0), ("3", 3), ("+3", 3), ("-1", -1), ("three", 0), ("2147483648", 0)]
)
def test_the_index_of_a_container_is_its_instance_id(instance_id: str, index: int) -> None:
    result = only(v2.Envelope(instance_id=instance_id, gauge=container()))

    assert result.containerMetric.instanceIndex == index


@pytest.mark.parametrize(("value", "index"), [(7.9, 7), (0.0, 0), (-1.5, -1), (1e10, 2**31 - 1), (math.nan, 0)])
def test_the_metric_instance_index_goes_before_the_instance_id(value: float, index: int) -> None:
    result = only(v2.Envelope(instance_id="3", gauge=container(instance_index=("", value))))

    assert result.containerMetric.instanceIndex == index


# --- timers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tags", [{}, {"peer_type": "client", "method": "GONE"}])
def test_an_unknown_peer_type_or_method_is_a_0_on_the_wire(tags: dict[str, str]) -> None:
    (result,) = to_v1(v2.Envelope(tags={"request_id": UUID_TEXT, **tags}, timer=v2.Timer()))

    http = result.httpStartStop.SerializePartialToString()
    written = {field.tag >> 3: http[field.body : field.end] for field in fields(http)}

    assert written[v1.HttpStartStop.PEERTYPE_FIELD_NUMBER] == b"\x00"
    assert written[v1.HttpStartStop.METHOD_FIELD_NUMBER] == b"\x00"


@pytest.mark.parametrize("name", v1.Method.keys())
def test_every_method_is_known_by_name(name: str) -> None:
    envelope = v2.Envelope(tags={"request_id": UUID_TEXT, "method": name}, timer=v2.Timer())

    assert only(envelope).httpStartStop.method == v1.Method.Value(name)


@pytest.mark.parametrize(
    ("status_code", "content_length", "expected"),
    [
        ("200", "5", (200, 5)),
        ("2147483648", "9223372036854775807", (0, 2**63 - 1)),
        ("", "9223372036854775808", (0, 0)),
        ("2e2", "0x5", (0, 0)),
    ],
)
def test_a_number_that_is_none_or_too_large_is_0(
    status_code: str, content_length: str, expected: tuple[int, int]
) -> None:
    tags = {"request_id": UUID_TEXT, "status_code": status_code, "content_length": content_length}

    http = only(v2.Envelope(tags=tags, timer=v2.Timer())).httpStartStop

    assert (http.statusCode, http.contentLength) == expected


def test_tags_of_a_timer_may_be_deprecated_ones() -> None:
    deprecated = {"request_id": v2.Value(text=UUID_TEXT), "status_code": v2.Value(integer=404)}

    http = only(v2.Envelope(deprecated_tags=deprecated, timer=v2.Timer())).httpStartStop

    assert http.statusCode == 404


# --- all of them ------------------------------------------------------------------------------------------------------

FIELD_NUMBER = {"httpStartStop.peerType": 4, "httpStartStop.method": 5}


def field_numbers(http: v1.HttpStartStop) -> set[int]:
    return {field.tag >> 3 for field in fields(http.SerializePartialToString())}


@given(envelopes)
def test_nothing_that_v1_requires_is_missing(envelope: v2.Envelope) -> None:
    for converted in to_v1(envelope):
        result = v1.Envelope.FromString(converted.SerializePartialToString())
        missing = set(result.FindInitializationErrors())

        assert missing <= {"httpStartStop.peerType", "httpStartStop.method"}
        if missing:
            assert set(map(FIELD_NUMBER.get, missing)) <= field_numbers(result.httpStartStop)


@given(envelopes)
def test_the_v2_envelope_stays_as_it_was(envelope: v2.Envelope) -> None:
    before = canonical(envelope)

    to_v1(envelope)

    assert canonical(envelope) == before
