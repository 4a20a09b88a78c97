import pytest
from hypothesis import given
from hypothesis import strategies as st

from standpipe.writing.split_lines import LineSplitter

MAX = 4
texts = st.lists(st.sampled_from([b"a", b"bc", b"\r", b"\n", b"\r\n", b"\x00\xff", b"longer than four"])).map(b"".join)


def split(chunks: list[bytes], most: int = MAX) -> list[bytes]:
    splitter = LineSplitter(most)
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.end()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\r\nb", [b"a", b"b"]),
        (b"\n\n", [b"", b""]),
        (b"a\rb\n", [b"a\rb"]),
        (b"a\r\r\n", [b"a\r"]),
        (b"\xff\x00\n", [b"\xff\x00"]),
    ],
)
def test_a_line_ends_with_lf_or_crlf(text: bytes, lines: list[bytes]) -> None:
    assert split([text]) == lines


def test_a_line_is_given_out_as_soon_as_it_ends() -> None:
    splitter = LineSplitter()

    assert splitter.feed(b"a\nb") == [b"a"]
    assert splitter.feed(b"c\n") == [b"bc"]
    assert splitter.end() == []


def test_a_long_line_comes_in_pieces() -> None:
    assert split([b"123456789\n1234\r\n"]) == [b"1234", b"5678", b"9", b"1234"]


def test_a_line_without_end_is_not_held_for_ever() -> None:
    splitter = LineSplitter(MAX)

    assert splitter.feed(b"x" * 4 * MAX) == [b"xxxx"] * 3
    assert splitter.end() == [b"xxxx"]


@given(chunks=st.lists(texts))
def test_the_borders_of_chunks_never_show(chunks: list[bytes]) -> None:
    assert split(chunks) == split([b"".join(chunks)])


@given(text=texts)
def test_nothing_is_lost_but_the_ends_of_lines(text: bytes) -> None:
    unended = text.replace(b"\r\n", b"\n").replace(b"\n", b"")

    assert b"".join(split([text])) == unended
