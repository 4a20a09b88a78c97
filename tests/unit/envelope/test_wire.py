import pytest
from google.protobuf.message import DecodeError as ProtobufDecodeError
from hypothesis import given
from hypothesis import strategies as st

from envelope.errors import DecodeError
from envelope.pb.loggregator_v2_pb2 import SendResponse
from envelope.wire import Field, fields
from tests.strategies import broken_fields, odd_messages, unknown_fields


def protobuf_takes(message: bytes) -> bool:
    """Ask protobuf itself, by way of a message without fields: all it can look at is the wire format."""
    try:
        SendResponse.FromString(message)
    except ProtobufDecodeError:
        return False
    return True


def taken(message: bytes) -> bool:
    try:
        list(fields(message))
    except DecodeError:
        return False
    return True


def test_each_wire_type_has_its_extent() -> None:
    message = b"".join(
        (
            b"\x08\x96\x01",  # varint
            b"\x11ABCDEFGH",  # eight bytes
            b"\x1a\x02hi",  # length-delimited
            b"\x23\x08\x01\x24",  # group
            b"\x2dABCD",  # four bytes
        )
    )

    assert list(fields(message)) == [
        Field(tag=0x08, start=0, body=1, end=3),
        Field(tag=0x11, start=3, body=4, end=12),
        Field(tag=0x1A, start=12, body=14, end=16),
        Field(tag=0x23, start=16, body=17, end=20),
        Field(tag=0x2D, start=20, body=21, end=25),
    ]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x80", "truncated"),
        (b"\x0a\x05ab", "truncated"),
        (b"\x09ABCDEFG", "truncated"),
        (b"\x0b\x08\x01", "truncated"),
        (b"\x88\x80\x80\x80\x80\x00\x00", "varint too long"),
        (b"\x08" + b"\x80" * 10 + b"\x00", "varint too long"),
        (b"\x88\x80\x80\x80\x10\x00", "tag too large"),
        (b"\x0a\xff\xff\xff\xff\x0f", "length too large"),
        (b"\x0b\x14", "group closed by the end of another"),
        (b"\x0b" * 101 + b"\x0c" * 101, "groups nested too deep"),
        (b"\x0c", "unexpected wire type 4"),
        (b"\x0e", "unexpected wire type 6"),
        (b"\x0f", "unexpected wire type 7"),
    ],
)
def test_a_broken_field_is_named_by_its_offset(message: bytes, reason: str) -> None:
    good = b"\x08\x01"

    with pytest.raises(DecodeError, match=f"^malformed field at byte 2: {reason}$"):
        list(fields(good + message))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"\x8a\x80\x80\x80\x00\x00", id="five-byte tag"),
        pytest.param(b"\x0a\x80\x80\x80\x80\x00", id="five-byte length"),
        pytest.param(b"\x08" + b"\xff" * 9 + b"\x7f", id="ten-byte varint with bits to spare"),
        pytest.param(b"\x0b" * 100 + b"\x0c" * 100, id="a hundred groups deep"),
        pytest.param(b"\x02\x00", id="field number 0"),
    ],
)
def test_what_is_odd_but_legal_is_taken(message: bytes) -> None:
    assert taken(message)
    assert protobuf_takes(message)


@given(odd_messages(unknown_fields) | broken_fields | st.binary(max_size=12))
def test_takes_and_refuses_what_protobuf_does(message: bytes) -> None:
    assert taken(message) == protobuf_takes(message)


@given(odd_messages(unknown_fields, rarely=st.just(b"")))
def test_fields_follow_each_other_without_a_gap(message: bytes) -> None:
    found = list(fields(message))

    assert [0, *(field.end for field in found)] == [*(field.start for field in found), len(message)]
