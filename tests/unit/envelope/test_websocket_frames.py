import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.websocket_frames import frame, ws_payloads

payloads = st.binary(max_size=200) | st.sampled_from([125, 126, 127, 65535, 65536]).map(bytes)


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_length_takes_the_shortest_of_its_three_forms(size: int, header: bytes) -> None:
    payload = bytes(size)

    assert frame(payload) == header + payload


@given(st.lists(payloads, max_size=5))
def test_frames_split_into_their_payloads(several: list[bytes]) -> None:
    buffer = b"".join(map(frame, several))

    assert ws_payloads(buffer) == (several, len(buffer))


@given(st.lists(payloads, max_size=3), payloads, st.data())
def test_an_incomplete_frame_is_left(several: list[bytes], last: bytes, data: st.DataObject) -> None:
    complete = b"".join(map(frame, several))
    whole = frame(last)
    part = whole[: data.draw(st.integers(0, len(whole) - 1), label="bytes of the last frame")]

    assert ws_payloads(complete + part) == (several, len(complete))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b"\x81\x01a", id="text"),
        pytest.param(b"\x88\x02\x03\xe8", id="close"),
        pytest.param(b"\x89\x00", id="ping"),
        pytest.param(b"\x02\x01a", id="first fragment"),
        pytest.param(b"\x80\x01a", id="last fragment"),
        pytest.param(b"\xc2\x01a", id="extension bit"),
        pytest.param(b"\x82\x81abcda", id="masked"),
        pytest.param(b"\x82\xfe\x00\x01abcda", id="masked, two bytes of length"),
        pytest.param(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", id="longer than can be"),
    ],
)
def test_any_other_frame_is_left(other: bytes) -> None:
    before = frame(b"a")

    assert ws_payloads(before + other + frame(b"b")) == ([b"a"], len(before))


@pytest.mark.parametrize("header", [b"\x82\x7e\x00\x01", b"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01"])
def test_a_length_longer_than_need_be_is_taken(header: bytes) -> None:
    assert ws_payloads(header + b"a") == ([b"a"], len(header) + 1)


@given(st.binary(max_size=30))
def test_any_buffer_is_split_somewhere(buffer: bytes) -> None:
    found, consumed = ws_payloads(buffer)

    assert 0 <= consumed <= len(buffer)
    assert sum(map(len, found)) <= consumed
