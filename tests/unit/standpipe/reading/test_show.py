"""What an envelope looks like: to people, line by line, and to programs."""

import base64
import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.errors import DecodeError
from envelope.pb import dropsonde_pb2 as v1
from envelope.v2_to_v1 import to_v1
from standpipe.reading.show import COLOURED, Record, json_line, line, missed, safe, source_of, to_record
from tests.strategies import envelopes

NOON = 1_763_726_400_123_456_789


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _envelope(kind: str, **fields: Any) -> v1.Envelope:
    fields.setdefault("tags", {"source_id": "shop"})
    return v1.Envelope(origin="o", eventType=v1.Envelope.EventType.Value(kind), timestamp=NOON, **fields)


def _record(kind: str, **fields: Any) -> Record:
    return to_record(_envelope(kind, **fields).SerializePartialToString())


def _log(message: bytes = b"order placed", *, err: bool = False, **fields: Any) -> Record:
    kind = v1.LogMessage.ERR if err else v1.LogMessage.OUT
    log = v1.LogMessage(message=message, message_type=kind, timestamp=NOON, app_id="shop", source_instance="2")
    return _record("LogMessage", logMessage=log, **fields)


def _counter(name: str = "orders", **fields: Any) -> Record:
    return _record("CounterEvent", counterEvent=v1.CounterEvent(name=name, delta=3, total=45), **fields)


def _http(status: int = 200, **fields: Any) -> Record:
    http = v1.HttpStartStop(
        startTimestamp=NOON,
        stopTimestamp=NOON + 12_300_000,
        requestId=v1.UUID(low=0x7243CC580BC17AF4, high=0x79D4C3B2020E67A5),
        peerType=v1.Server,
        method=v1.GET,
        uri="/orders",
        remoteAddress="10.0.0.1:4711",
        userAgent="curl",
        statusCode=status,
        contentLength=5,
        instanceIndex=1,
        **fields,
    )
    return _record("HttpStartStop", httpStartStop=http)


# --- lines ----------------------------------------------------------------------------------------------------------


def test_a_log() -> None:
    assert line(_log()) == "12:00:00.123 shop/2               log       OUT order placed"


def test_a_log_to_err() -> None:
    assert line(_log(err=True)).endswith(" ERR order placed")


def test_the_newlines_at_the_end_of_a_message_are_cut() -> None:
    assert line(_log(b"one\ntwo\r\n\n")).endswith(r"OUT one\ntwo")


def test_a_counter() -> None:
    assert line(_counter()).split(maxsplit=3)[2:] == ["counter", "orders=45 (+3)"]


def test_a_counter_without_a_total() -> None:
    record = _record("CounterEvent", counterEvent=v1.CounterEvent(name="orders", delta=3))
    assert line(record).endswith("orders (+3)")


def test_a_gauge() -> None:
    record = _record("ValueMetric", valueMetric=v1.ValueMetric(name="queue", value=12, unit="jobs"))
    assert line(record).split(maxsplit=3)[2:] == ["gauge", "queue=12 jobs"]


def test_a_request() -> None:
    assert line(_http()).split(maxsplit=3)[1:] == ["shop/1", "timer", "GET /orders 200 12.3 ms"]


def test_a_container_metric() -> None:
    container = v1.ContainerMetric(
        applicationId="a",
        instanceIndex=3,
        cpuPercentage=1.25,
        memoryBytes=1 << 20,
        diskBytes=9,
        memoryBytesQuota=2 << 20,
    )
    text = line(_record("ContainerMetric", containerMetric=container))
    assert text.split(maxsplit=3)[1:] == ["shop/3", "container", "cpu=1.2% memory=1 MiB of 2 MiB disk=9 B"]


def test_an_error() -> None:
    text = line(_record("Error", error=v1.Error(source="router", code=7, message="no route")))
    assert text.split(maxsplit=3)[2:] == ["error", "router code=7 no route"]


def test_dropped_envelopes_are_a_line_of_their_own() -> None:
    record = _counter("dropped", tags={"source_id": "doppler", "direction": "egress"})
    assert line(record) == "— 3 envelopes were dropped for this reader —"


def test_one_dropped_envelope_is_spoken_of_as_one() -> None:
    record = _counter("dropped", tags={"source_id": "doppler", "direction": "egress"}) | {"delta": 1}
    assert line(record) == "— 1 envelope was dropped for this reader —"


@pytest.mark.parametrize(
    "tags", [{"source_id": "doppler"}, {"source_id": "doppler", "direction": "ingress"}, {"direction": "egress"}]
)
def test_a_counter_that_is_only_called_dropped_is_no_notice(tags: dict[str, str]) -> None:
    assert missed(_counter("dropped", tags=tags)) == 0


def test_errors_are_coloured() -> None:
    assert f"{COLOURED.alarm}ERR order placed{COLOURED.end}" in line(_log(err=True), COLOURED)
    assert f"{COLOURED.alarm}GET /orders 500" in line(_http(500), COLOURED)
    assert COLOURED.alarm not in line(_http(499), COLOURED)


# --- nothing a terminal would obey ----------------------------------------------------------------------------------


def test_what_a_terminal_would_obey_is_spelled_out() -> None:
    assert safe("\x1b[31m \x07 \x9b2J a\nb\r \u202etxt \t é") == r"\x1b[31m \x07 \x9b2J a\nb\r \u202etxt" + " \t é"


def test_bytes_that_are_no_text_are_spelled_out() -> None:
    assert line(_log(b"caf\xe9 \xff")).endswith(r"caf\xe9 \xff")


@given(text=st.text(), field=st.sampled_from(["source", "name", "unit", "message", "uri"]))
def test_no_field_reaches_the_terminal_raw(text: str, field: str) -> None:
    records = {
        "source": lambda: _log(tags={"source_id": text}),
        "name": lambda: _counter(text),
        "unit": lambda: _record("ValueMetric", valueMetric=v1.ValueMetric(name="n", value=1, unit=text)),
        "message": lambda: _log(text.encode()),
        "uri": lambda: _http() | {"uri": text},
    }
    shown = line(records[field]())
    assert not any((ord(character) < 32 and character != "\t") or 127 <= ord(character) < 160 for character in shown)
    assert len(shown.splitlines()) == 1


# --- objects --------------------------------------------------------------------------------------------------------


def test_an_object_speaks_of_an_envelope_as_v2_does() -> None:
    assert _log(deployment="cf", tags={"source_id": "shop", "region": "eu"}) == {
        "timestamp": NOON,
        "source_id": "shop",
        "instance_id": "2",
        "type": "log",
        "tags": {"region": "eu", "origin": "o", "deployment": "cf"},
        "stream": "OUT",
        "message": "order placed",
    }


def test_the_numbers_of_a_counter_are_whole() -> None:
    counter = v1.CounterEvent(name="bytes", delta=2**64 - 1, total=2**64 - 1)
    written = json_line(_envelope("CounterEvent", counterEvent=counter).SerializeToString())
    assert orjson.loads(written)["total"] == 2**64 - 1


def test_the_instance_of_a_metric_is_no_tag() -> None:
    record = _counter(tags={"source_id": "shop", "instance_id": "5"})
    assert (record["instance_id"], "instance_id" in record["tags"]) == ("5", False)


def test_a_request_has_everything_it_came_with() -> None:
    record = _http(instanceId="route-1", forwarded=["10.0.0.2", ""])
    assert record["request_id"] == "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    assert (record["method"], record["peer_type"], record["status_code"]) == ("GET", "Server", 200)
    assert (record["tags"]["routing_instance_id"], record["forwarded"]) == ("route-1", ["10.0.0.2"])


def test_a_method_that_v1_does_not_know_is_none() -> None:
    unknown = b"\x28\x00"  # method: 0
    envelope = v1.Envelope(origin="o", eventType=v1.Envelope.HttpStartStop)
    envelope.httpStartStop.MergeFromString(unknown)
    assert to_record(envelope.SerializePartialToString())["method"] == ""


def test_a_message_that_is_no_text_is_kept_beside_its_reading() -> None:
    record = _log(b"caf\xe9")
    assert record["message"] == r"caf\xe9"
    assert base64.b64decode(record["message_base64"]) == b"caf\xe9"


def test_an_error_that_is_no_text_is_kept_too() -> None:
    envelope = v1.Envelope(origin="o", eventType=v1.Envelope.Error)
    envelope.error.MergeFromString(b"\x0a\x01r\x10\x01\x1a\x02\xff!")
    record = to_record(envelope.SerializeToString())
    assert base64.b64decode(record["message_base64"]) == b"\xff!"


def test_a_line_of_json_ends_with_a_newline_and_has_no_other() -> None:
    log = v1.LogMessage(message=b"a\nb", message_type=v1.LogMessage.OUT, timestamp=1)
    written = json_line(_envelope("LogMessage", logMessage=log).SerializeToString())
    assert written.count(b"\n") == 1
    assert written.endswith(b"\n")


# --- who sent it ----------------------------------------------------------------------------------------------------


def test_the_tag_names_the_source_before_the_app_does() -> None:
    log = v1.LogMessage(message=b"", message_type=v1.LogMessage.OUT, timestamp=1, app_id="an-app")
    assert source_of(_envelope("LogMessage", logMessage=log)) == "shop"
    assert source_of(_envelope("LogMessage", logMessage=log, tags={})) == "an-app"


def test_a_request_names_its_source_by_uuid() -> None:
    http = v1.HttpStartStop(applicationId=v1.UUID(low=0x7243CC580BC17AF4, high=0x79D4C3B2020E67A5))
    envelope = _envelope("HttpStartStop", httpStartStop=http, tags={})
    assert source_of(envelope) == "f47ac10b-58cc-4372-a567-0e02b2c3d479"


def test_a_source_without_a_name_is_its_deployment_and_job_or_its_origin() -> None:
    assert source_of(v1.Envelope(origin="router", deployment="cf", job="api")) == "cf/api"
    assert source_of(v1.Envelope(origin="router")) == "router"


# --- whatever may come ----------------------------------------------------------------------------------------------


@given(envelope=envelopes)
def test_every_envelope_that_can_be_sent_can_be_shown(envelope: Any) -> None:
    for converted in to_v1(envelope):
        payload = converted.SerializePartialToString()
        assert len(line(to_record(payload)).splitlines()) == 1
        assert orjson.loads(json_line(payload))["timestamp"] == envelope.timestamp


@given(payload=st.binary(max_size=60))
def test_bytes_that_are_no_envelope_are_refused_and_nothing_worse(payload: bytes) -> None:
    with suppress(DecodeError):
        line(to_record(payload))


@pytest.mark.parametrize("payload", [b"", b"\x0a\x01o", b"\x0a\x01o\x10\x63", b"\xff", b"\x0a\x05o"])
def test_what_has_no_type_is_no_envelope(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        to_record(payload)


def test_tags_that_are_no_text_make_no_envelope() -> None:
    with pytest.raises(DecodeError):
        to_record(_envelope("CounterEvent").SerializePartialToString() + b"\x8a\x01\x06\x0a\x01\xff\x12\x01\xfe")
