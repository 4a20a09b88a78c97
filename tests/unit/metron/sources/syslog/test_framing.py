"""Streams cut into messages: by counts, by newlines, and both."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metron.sources.syslog import framing
from metron.sources.syslog.framing import Framer


def counted(message: bytes) -> bytes:
    return b"%d %s" % (len(message), message)


def cut(stream: bytes, max_bytes: int = 100) -> list[bytes]:
    framer = Framer(max_bytes)
    messages = framer.feed(stream) + framer.flush()
    assert not framer.fault
    return messages


def test_each_message_shows_how_it_is_framed() -> None:
    stream = b"<1>a\n" + counted(b"<2>b\nc") + b"<3>d\r\n" + counted(b"<4>e") + counted(b"<5>f") + b"<6>g"

    assert cut(stream) == [b"<1>a", b"<2>b\nc", b"<3>d\r", b"<4>e", b"<5>f", b"<6>g"]


@pytest.mark.parametrize("trailer", [b"\n", b"\r\n", b"\0", b"\n\0", b"\0\n", b"\n\n\n"])
def test_trailers_and_empty_lines_are_no_messages(trailer: bytes) -> None:
    assert [line.rstrip(b"\r") for line in cut(trailer.join([b"<1>a", b"b", b"<3>c", b""]))] == [b"<1>a", b"b", b"<3>c"]
    assert cut(trailer.join([counted(b"<1>a"), counted(b"<2>b"), b""])) == [b"<1>a", b"<2>b"]


def test_lines_may_begin_with_a_number() -> None:
    lines = [b"2026-10-11 10:00:00 started", b"7 of 9", b"12345678901 <x", b"0 <x", b"1"]

    assert cut(b"\n".join(lines)) == lines


def test_after_a_counted_message_a_count_needs_no_priority() -> None:
    assert cut(counted(b"<1>a") + counted(b"plain")) == [b"<1>a", b"plain"]


@pytest.mark.parametrize(
    ("stream", "messages", "offset"),
    [
        (b"4 <1>aX 4 <1>b", [b"<1>a"], 6),
        (b"4 <1>a\n4x<1>b", [b"<1>a"], 7),
        (b"4 <1>a07 <1>b", [b"<1>a"], 6),
        (b"16777217 <1>a", [], 0),
        (b"<1>a\n9999999999 <1>a", [b"<1>a"], 5),
        (b"4 <1>a12345678901 <1>b", [b"<1>a"], 6),
    ],
)
def test_wrong_counts_are_a_fault_and_its_place_is_told(stream: bytes, messages: list[bytes], offset: int) -> None:
    framer = Framer(100)

    assert framer.feed(stream) == messages
    assert framer.fault
    assert framer.offset == offset
    assert framer.feed(b"<1>more\n") == []


def test_a_long_message_is_cut_off_and_the_next_one_is_whole() -> None:
    framer = Framer(10)

    messages = framer.feed(counted(b"<1>" + b"a" * 50) + b"<2>" + b"b" * 50 + b"\n<3>c\n" + counted(b"<4>" + b"d" * 7))

    assert messages == [b"<1>aaaaaaa", b"<2>bbbbbbb", b"<3>c", b"<4>ddddddd"]
    assert framer.truncated == 2
    assert not framer.holds_some


def test_it_holds_no_more_than_one_message() -> None:
    framer = Framer(1000)
    for chunk in [b"<1>", *[b"a" * 10_000] * 5]:
        framer.feed(chunk)
        assert len(framer._held) <= 1000

    assert not framer.holds_some


class Looked:
    """A pattern that counts the bytes it is given to search."""

    def __init__(self) -> None:
        self.bytes = 0

    def search(self, data: bytes, start: int, end: int = 1 << 30) -> re.Match[bytes] | None:
        self.bytes += max(0, min(end, len(data)) - start)
        return re.compile(rb"[\n\0]").search(data, start)


@pytest.mark.parametrize("stream", [b"<1>" + b"a" * 3000 + b"\n", b"3003 <1>" + b"a" * 3000])
def test_whoever_sends_single_bytes_costs_no_more_than_they_are(stream: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, begun = Looked(), 0
    monkeypatch.setattr(framing, "_LINE_END", looked)
    framer = Framer(10_000)

    def take_next(buffer: bytes, at: int, messages: list[bytes]) -> int:
        nonlocal begun
        begun += len(buffer) - at
        return Framer._next(framer, buffer, at, messages)

    monkeypatch.setattr(framer, "_next", take_next)
    messages = [message for at in range(len(stream)) for message in framer.feed(stream[at : at + 1])]

    assert [len(message) for message in messages] == [3003]
    assert looked.bytes <= 3 * len(stream)
    assert begun <= 3 * len(stream)


def test_what_has_no_end_is_held() -> None:
    framer = Framer(100)

    assert framer.feed(b"10 <1>") == []
    assert framer.flush() == []
    assert framer.holds_some
    assert framer.offset == 0


LINES = st.builds(lambda text: b"<13>" + text, st.binary(max_size=30)).map(
    lambda line: line.replace(b"\n", b"").replace(b"\0", b"")
)
MESSAGES = st.builds(lambda text: b"<13>" + text, st.binary(max_size=30))


@given(
    st.lists(st.one_of(st.tuples(st.just(True), MESSAGES), st.tuples(st.just(False), LINES)), max_size=8),
    st.lists(st.integers(1, 20), max_size=40),
    st.integers(8, 40),
)
def test_any_chunks_give_the_same_messages(sent: list[tuple[bool, bytes]], cuts: list[int], most: int) -> None:
    stream = b"".join(counted(message) if is_counted else message + b"\n" for is_counted, message in sent)
    framer, messages = Framer(most), []
    for size in cuts:
        messages += framer.feed(stream[:size])
        stream = stream[size:]
    messages += framer.feed(stream)

    assert messages == [message[:most] for _, message in sent]
    assert framer.truncated == sum(len(message) > most for _, message in sent)
    assert (framer.fault, framer.holds_some) == ("", False)


def test_a_last_line_that_could_have_been_a_count_is_cut_off_too() -> None:
    framer = Framer(4)

    assert framer.feed(b"12124 ") + framer.flush() == [b"1212"]
    assert framer.truncated == 1


PIECES = st.sampled_from([b"<1>", b"4 ", b"12", b" ", b"4 <1>a", b"\n", b"\r", b"\0", b"0", b"a" * 9])


@given(st.lists(PIECES | st.binary(max_size=3), max_size=25), st.integers(4, 12))
def test_whatever_the_bytes_the_chunks_do_not_show(pieces: list[bytes], most: int) -> None:
    whole, in_pieces, by_byte = Framer(most), Framer(most), Framer(most)
    stream = b"".join(pieces)

    expected = whole.feed(stream) + whole.flush()

    assert [m for piece in pieces for m in in_pieces.feed(piece)] + in_pieces.flush() == expected
    assert [m for at in range(len(stream)) for m in by_byte.feed(stream[at : at + 1])] + by_byte.flush() == expected
    assert whole.fault == in_pieces.fault == by_byte.fault
    assert whole.offset == in_pieces.offset == by_byte.offset
    assert all(len(message) <= most for message in expected)
