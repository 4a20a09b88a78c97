import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbing.spool import frames
from plumbing.spool.frames import HEAD_BYTES, Frame, Kept, encode, find_head, read_body, read_head

SEED = 0x1234_5678_9ABC_DEF0
FRAME = Frame(b"batch", 3, (b"a", b"b"))


def decoded(data: bytes) -> Kept | None:
    head = read_head(data, len(data), SEED)
    return head and read_body(head, data[HEAD_BYTES:], SEED)


@given(st.binary(max_size=200), st.integers(0, 1 << 32 - 1), st.lists(st.binary(max_size=20), max_size=3).map(tuple))
@settings(max_examples=50)
def test_a_frame_is_read_as_it_was_written(batch: bytes, count: int, marks: tuple[bytes, ...]) -> None:
    data = b"".join(encode(Frame(batch, count, marks), 7, 40, SEED))

    assert decoded(data) == Kept(7, batch, count, marks)
    head = read_head(data, len(data), SEED)
    assert head is not None
    assert (head.end, head.frame_bytes) == (40 + count, len(data))


def test_no_flipped_bit_goes_unnoticed() -> None:
    data = b"".join(encode(FRAME, 7, 40, SEED))

    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert decoded(bytes(flipped)) is None


def test_a_frame_that_is_cut_short_anywhere_is_none() -> None:
    data = b"".join(encode(FRAME, 7, 40, SEED))

    assert [size for size in range(len(data)) if decoded(data[:size]) is not None] == []


def test_a_frame_of_another_spool_is_none() -> None:
    data = b"".join(encode(FRAME, 7, 40, SEED + 1))

    assert read_head(data, len(data), SEED) is None


def test_the_next_frame_is_found_behind_what_cannot_be_read() -> None:
    strange = b"SPf1" + b"".join(encode(FRAME, 7, 40, SEED + 1)) + b"SPf1"

    assert find_head(strange + b"".join(encode(FRAME, 8, 43, SEED)), SEED) == len(strange)
    assert find_head(strange, SEED) == len(strange)


def test_what_is_too_large_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 100)

    with pytest.raises(ValueError, match="cannot be kept"):
        encode(Frame(bytes(100), 1), 1, 0, SEED)


def test_a_head_that_claims_too_much_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(encode(Frame(bytes(100), 1), 1, 0, SEED))
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 50)

    assert read_head(data, len(data), SEED) is None


@given(st.binary(max_size=300), st.integers(0, 20))
def test_bytes_of_anybody_else_are_no_frame(data: bytes, magics: int) -> None:
    data = (b"SPf1" * magics).join([data, data])

    assert find_head(data, SEED) == len(data)
    assert read_head(data, len(data), SEED) is None
