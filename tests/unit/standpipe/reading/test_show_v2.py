"""What a v2 envelope looks like to people."""

import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given

from envelope.errors import DecodeError
from envelope.pb import loggregator_v2_pb2 as v2
from standpipe.reading.show import COLOURED
from standpipe.reading.show_v2 import line
from tests.strategies import envelopes

NOON = 1_763_726_400_123_456_789


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _line(**message: Any) -> str:
    who = {"timestamp": str(NOON), "source_id": "shop", "instance_id": "2"}
    return line(orjson.dumps({**who, **message}))


def _log(payload: bytes, kind: str = "OUT") -> dict[str, str]:
    return {"payload": b64encode(payload).decode(), "type": kind}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"log": _log(b"order placed\r\n")}, "OUT     order placed"),
        ({"log": _log(b"no \x1b[31mstock\nleft", "ERR")}, r"ERR     no \x1b[31mstock\nleft"),
        ({"log": _log(b"\xff")}, r"OUT     \xff"),
        ({"counter": {"name": "orders", "delta": "3", "total": "45"}}, "COUNTER orders:45"),
        (
            {"gauge": {"metrics": {"mem": {"unit": "bytes", "value": 1024}, "cpu": {"unit": "", "value": 0.25}}}},
            "GAUGE   cpu:0.25 mem:1024 bytes",
        ),
        ({"gauge": {"metrics": {"x": {"unit": "", "value": "NaN"}}}}, "GAUGE   x:nan"),
        ({"timer": {"name": "http", "start": "1000000", "stop": "13345678"}}, "TIMER   http 12.345678 ms"),
        ({"event": {"title": "crash", "body": "out of memory"}}, "EVENT   crash:out of memory"),
    ],
    ids=str,
)
def test_a_line_says_who_when_and_what(message: dict[str, Any], text: str) -> None:
    assert _line(**message) == f"12:00:00.123 shop/2               {text}"


def test_what_goes_to_err_is_alarming() -> None:
    text = line(orjson.dumps({"timestamp": "0", "source_id": "a", "log": _log(b"x", "ERR")}), COLOURED)
    assert text.endswith(f"{COLOURED.alarm}x{COLOURED.end}")


@pytest.mark.parametrize("value", [{}, [], {"log": 5}, {"timestamp": "x", "event": {}}, {"log": {"payload": 5}}])
def test_what_is_no_envelope_is_an_error(value: Any) -> None:
    with pytest.raises(DecodeError):
        line(orjson.dumps(value))


@given(envelope=envelopes)
def test_every_envelope_that_says_something_is_one_line(envelope: v2.Envelope) -> None:
    as_json = MessageToDict(envelope, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    if envelope.WhichOneof("message") is None:
        with pytest.raises(DecodeError):
            line(orjson.dumps(as_json))
    else:
        assert len(line(orjson.dumps(as_json)).splitlines()) == 1
