"""The JSON of each kind of envelope, written out as Go's protojson has it (loggregator.md 2.1, 3.2)."""

import math
from typing import Any

import orjson
import pytest
from hypothesis import given

from envelope.json_form import form, to_json
from envelope.pb import loggregator_v2_pb2 as v2
from tests.kernel_results import protobufs_json
from tests.strategies import batch_of, envelopes

NOTHING = {"timestamp": "0", "source_id": "", "instance_id": "", "deprecated_tags": {}, "tags": {}}

MESSAGES: dict[str, tuple[v2.Envelope, dict[str, Any]]] = {
    "none": (v2.Envelope(), {}),
    "log": (v2.Envelope(log=v2.Log(payload=b"\xff\xfe", type="ERR")), {"log": {"payload": "//4=", "type": "ERR"}}),
    "empty log": (v2.Envelope(log=v2.Log()), {"log": {"payload": "", "type": "OUT"}}),
    "log of no known type": (v2.Envelope(log=v2.Log(type=-7)), {"log": {"payload": "", "type": -7}}),
    "counter": (
        v2.Envelope(counter=v2.Counter(name="n", delta=1, total=2**64 - 1)),
        {"counter": {"name": "n", "delta": "1", "total": "18446744073709551615"}},
    ),
    "empty counter": (v2.Envelope(counter=v2.Counter()), {"counter": {"name": "", "delta": "0", "total": "0"}}),
    "gauge": (
        v2.Envelope(gauge=v2.Gauge(metrics={"heat": v2.GaugeValue(unit="C", value=36.6), "": v2.GaugeValue()})),
        {"gauge": {"metrics": {"heat": {"unit": "C", "value": 36.6}, "": {"unit": "", "value": 0}}}},
    ),
    "empty gauge": (v2.Envelope(gauge=v2.Gauge()), {"gauge": {"metrics": {}}}),
    "timer": (
        v2.Envelope(timer=v2.Timer(name="http", start=-1, stop=2**63 - 1)),
        {"timer": {"name": "http", "start": "-1", "stop": "9223372036854775807"}},
    ),
    "empty timer": (v2.Envelope(timer=v2.Timer()), {"timer": {"name": "", "start": "0", "stop": "0"}}),
    "event": (v2.Envelope(event=v2.Event(title="t", body="b")), {"event": {"title": "t", "body": "b"}}),
    "empty event": (v2.Envelope(event=v2.Event()), {"event": {"title": "", "body": ""}}),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_each_message(name: str) -> None:
    envelope, message = MESSAGES[name]

    assert form(envelope) == NOTHING | message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (v2.Value(text=""), {"text": ""}),
        (v2.Value(integer=-(2**63)), {"integer": "-9223372036854775808"}),
        (v2.Value(decimal=0.1), {"decimal": 0.1}),
        (v2.Value(decimal=math.nan), {"decimal": "NaN"}),
        (v2.Value(decimal=math.inf), {"decimal": "Infinity"}),
        (v2.Value(decimal=-math.inf), {"decimal": "-Infinity"}),
        (v2.Value(), {}),
    ],
)
def test_each_deprecated_value(value: v2.Value, expected: dict[str, Any]) -> None:
    assert form(v2.Envelope(deprecated_tags={"k": value}))["deprecated_tags"] == {"k": expected}


def test_the_text_is_compact_and_its_fields_stand_in_one_order() -> None:
    envelope = v2.Envelope(timestamp=-5, source_id="s", instance_id="3", tags={"a": "b"}, log=v2.Log(payload=b"abc"))

    assert to_json(envelope) == (
        b'{"timestamp":"-5","source_id":"s","instance_id":"3","deprecated_tags":{},"tags":{"a":"b"},'
        b'"log":{"payload":"YWJj","type":"OUT"}}'
    )


def test_no_character_ends_the_line() -> None:
    text = "".join(map(chr, range(0xA0))) + "\u2027\u2028\u2029\u202a"

    written = to_json(v2.Envelope(source_id=text)).decode()

    assert written.splitlines() == [written]
    assert orjson.loads(written)["source_id"] == text


@given(envelopes)
def test_it_is_what_protobuf_says(envelope: v2.Envelope) -> None:
    assert [orjson.loads(to_json(envelope))] == protobufs_json(batch_of(envelope))["batch"]
