import pytest

from envelope.errors import DecodeError
from envelope.pb import dropsonde_pb2 as v1
from envelope.v1_required import missing_fields, read_v1

LOG = v1.Envelope(origin="o", eventType=v1.Envelope.LogMessage)
HTTP_START_STOP = v1.Envelope(origin="o", eventType=v1.Envelope.HttpStartStop)
HTTP_START_STOP.httpStartStop.CopyFrom(
    v1.HttpStartStop(startTimestamp=1, stopTimestamp=2, uri="/", remoteAddress="", userAgent="", statusCode=200)
)
HTTP_START_STOP.httpStartStop.contentLength = 0
HTTP_START_STOP.httpStartStop.requestId.low = HTTP_START_STOP.httpStartStop.requestId.high = 1


def _with(fields: bytes) -> v1.Envelope:
    """The HTTP envelope, with more fields in its message."""
    return v1.Envelope.FromString(HTTP_START_STOP.SerializePartialToString() + b"\x3a" + bytes([len(fields)]) + fields)


def test_a_complete_envelope_lacks_nothing() -> None:
    assert missing_fields(LOG) == []


def test_what_is_missing_is_named_by_its_path() -> None:
    log = v1.Envelope(origin="o", eventType=v1.Envelope.LogMessage, logMessage=v1.LogMessage(message=b"hello"))

    assert missing_fields(log) == ["logMessage.message_type", "logMessage.timestamp"]


def test_a_number_that_its_enum_does_not_know_is_there() -> None:
    assert missing_fields(HTTP_START_STOP) == ["httpStartStop.peerType", "httpStartStop.method"]
    assert missing_fields(_with(b"\x20\x00\x28\x00")) == []


@pytest.mark.parametrize("fields", [b"\x22\x01a\x2a\x01a", b"\x25\0\0\0\0\x2d\0\0\0\0"], ids=["text", "fixed"])
def test_a_field_of_another_wire_type_is_no_number(fields: bytes) -> None:
    assert missing_fields(_with(fields)) == ["httpStartStop.peerType", "httpStartStop.method"]


def test_what_is_read_has_all_that_is_required() -> None:
    assert read_v1(LOG.SerializeToString()) == LOG
    with pytest.raises(DecodeError, match="not a v1 envelope"):
        read_v1(b"\xff")
    with pytest.raises(DecodeError, match=r"without httpStartStop\.peerType, httpStartStop\.method"):
        read_v1(HTTP_START_STOP.SerializePartialToString())
