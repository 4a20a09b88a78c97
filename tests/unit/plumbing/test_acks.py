"""What was sent stays ours until it is confirmed."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from envelope.errors import DecodeError
from plumbing.acks import Window, decode_ack, encode_ack
from plumbing.diode import Parcel


@given(st.integers(0, 2**63))
def test_an_acknowledgement_reads_back(messages: int) -> None:
    assert decode_ack(encode_ack(messages)) == messages


@given(st.binary(max_size=20))
def test_arbitrary_bytes_are_an_acknowledgement_or_a_decode_error(message: bytes) -> None:
    try:
        assert decode_ack(message) >= 0
    except DecodeError:
        assert message[:1] != b"\x08" or not 2 <= len(message) <= 11 or message[-1] & 0x80


@given(sizes=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), max_size=20), data=st.data())
def test_what_is_not_acknowledged_is_taken_back_in_order(sizes: list[list[int]], data: st.DataObject) -> None:
    window = Window()
    messages = [[Parcel(b"x" * size, size) for size in message] for message in sizes]
    for message in messages:
        window.sent(message)
    acked = data.draw(st.integers(0, len(messages)))

    delivered = window.acknowledge(acked)

    left = [parcel for message in messages[acked:] for parcel in message]
    assert delivered == sum(parcel.envelopes for message in messages[:acked] for parcel in message)
    assert window.in_flight == window.in_flight_bytes == sum(parcel.envelopes for parcel in left)
    assert window.abandon() == left
    assert (window.in_flight, window.in_flight_bytes) == (0, 0)


def test_acknowledging_again_or_less_changes_nothing() -> None:
    window = Window()
    window.sent([Parcel(b"x", 1)])
    window.sent([Parcel(b"x", 1)])
    window.acknowledge(2)

    assert window.acknowledge(1) == 0
    assert window.in_flight == 0


def test_more_acknowledged_than_sent_is_an_error() -> None:
    with pytest.raises(DecodeError, match="message 1 acknowledged of only 0 sent"):
        Window().acknowledge(1)


def test_whoever_asked_is_told_once_a_parcel_has_arrived() -> None:
    told: list[int] = []
    window = Window()
    window.sent([Parcel(b"x", 1, lambda: told.append(1)), Parcel(b"x", 1, lambda: told.append(2))])
    assert told == []

    window.acknowledge_all()

    assert told == [1, 2]
