"""Fields of lines: the compiled kernel finds what the reader of single lines finds, column by column."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import accumulate

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envelope import kernel, line_fields, reference
from envelope.kinds import Kind
from envelope.line_fields import MOST_FIELDS, MOST_JSON, MOST_NAME, MOST_PAIRS, MOST_TEXT, LineFields, Read
from event_store.fields import fields_of

compiled = pytest.importorskip("envelope._compiled")

Find = Callable[[bytes, bytes, bytes, int, Read], LineFields]
both = pytest.mark.parametrize("find", [kernel.line_fields, reference.line_fields])


def given_lines(lines: Sequence[bytes]) -> tuple[bytes, bytes, bytes]:
    ends = [0, *accumulate(map(len, lines))]
    return b"".join(lines), struct.pack(f"<{len(ends)}i", *ends), bytes([Kind.LOG] * len(lines))


def same(lines: Sequence[bytes], most: int = 500) -> LineFields:
    """Find the fields of lines; both kernels must find the same, to the order and to the bits of numbers."""
    found = compiled.line_fields(*given_lines(lines), most, fields_of)
    expected = reference.line_fields(*given_lines(lines), most, fields_of)
    assert repr(found) == repr(expected)
    return found


def is_read_by_the_kernel(line: bytes) -> bool:
    """Whether nobody else was asked."""
    asked: list[bytes] = []
    compiled.line_fields(*given_lines([line]), 500, lambda one: asked.append(one) or {})
    return not asked


@both
def test_columns_are_in_the_order_in_which_they_were_first_seen(find: Find) -> None:
    found = find(*given_lines([b"b=1 a=x", b"none", b'{"a":"y","b":"z","c":2.5}', b"a=x"]), 500, fields_of)

    assert [*found.texts] == [b"a", b"b"]
    assert found.texts[b"a"].values == [b"x", b"y"]
    assert struct.unpack("<4i", found.texts[b"a"].codes) == (0, -1, 1, 0)
    assert struct.unpack("<3i", found.texts[b"b"].codes) == (-1, -1, 0)
    assert found.numbers == {
        b"b": (struct.pack("<i", 0), struct.pack("<d", 1)),
        b"c": (struct.pack("<i", 2), struct.pack("<d", 2.5)),
    }
    assert found.more == []


@both
def test_what_is_of_no_log_has_no_fields(find: Find) -> None:
    texts, ends, _ = given_lines([b"a=1", b"b=2"])
    assert [*find(texts, ends, bytes([Kind.EVENT, Kind.LOG]), 500, fields_of).numbers] == [b"b"]


@both
def test_beyond_the_columns_there_is_more(find: Find) -> None:
    found = find(*given_lines([b"a=1 b=x c=2 d=y", b"a=3 d=4"]), 2, fields_of)

    assert ([*found.numbers], [*found.texts]) == ([b"a"], [b"b"])
    assert found.more == [(0, b"c", 2.0), (0, b"d", "y"), (1, b"d", 4.0)]


@both
def test_rows_times_columns_have_a_bound(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    many = given_lines([b"a%d=%d" % (number, number) for number in range(400)] + [b""] * 100_000)
    monkeypatch.setattr(line_fields, "MOST_CELLS", 32 << 20)
    with pytest.raises(OverflowError, match="too many fields"):
        find(*many, 500, fields_of)


@both
@pytest.mark.parametrize("ends", [[0, 4], [1, 0], [-1, 3], [0], [0, 1, 2]])
def test_an_offset_outside_the_texts_is_refused(find: Find, ends: list[int]) -> None:
    with pytest.raises(ValueError, match="text"):
        find(b"abc", struct.pack(f"<{len(ends)}i", *ends), bytes([Kind.LOG]), 500, fields_of)


PLAIN = [
    b'{"level":"info","status":200,"latency_ms":12.5,"ok":true,"not":false,"none":null}',
    b'{"time":1790000000000000000,"big":9999999999999999999,"small":-42,"zero":0,"part":0.1,"neg":-17.25}',
    b' \t\n{"a":1}'.strip(),
    b'{ "a" : 1 , "b" : "x" } \r\n',
    b"{}",
    b"{ }",
    '{"name":"grün €","ключ":"😀"}'.encode(),
    b'level=warn status=503 path=/x?a=b&c=d quoted="two words" n=-1.5e3 dup=1 dup=2',
    b"a=0.1 b=+5 c=.5 d=-0 e=123456789012345678 f=1.123456789012345678 g=1e999 h=00012.50",
    b"nothing at all",
    b"",
]
OTHERS = [
    b'{"a":{"b":1}}',
    b'{"a":[1]}',
    b'{"a":"\\n"}',
    b'{"\\u0061":1}',
    b'{"a":1,"a":"x","b":2}',
    b'{"a":null,"b":2,"a":1}',
    b'{"a":-0}',
    b'{"a":1e5}',
    b'{"a":1e999,"b":2} c=3',
    b'{"a":12345678901234567890123}',
    b'{"a":01}',
    b'{"a":1.}',
    b'{"a":.5}',
    b'{"a":1,}',
    b'{"a" 1}',
    b'{"a":1} tail=2',
    b'{"a":nul,b=1',
    b'{"a":"open',
    b"{a=1}",
    b'{"":1}',
    b'{"a$num":"x","a":1}',
    b'{"a":"\xff"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\x01"}',
    b'\xef\xbb\xbf{"a":1}',
    b'a="two \\"quoted\\" words"',
    b"a=\xff",
    b"a=" + b"x" * (MOST_TEXT + 1) + b" a=1",
    b"a=" + "ü".encode() * MOST_TEXT,
    orjson.dumps({"a" * (MOST_NAME + 1): 1, "b": "x" * (MOST_TEXT + 1), "c": "x" * MOST_TEXT}),
    orjson.dumps({"ü" * MOST_NAME: 1, "u": "ü" * MOST_TEXT}),
    orjson.dumps({f"f{number}": number for number in range(MOST_FIELDS + 5)}),
    orjson.dumps({f"f{number}": None if number % 2 else number for number in range(2 * MOST_FIELDS)}),
    b" ".join(b"f%d=1" % (number // 2) for number in range(2 * MOST_FIELDS)),
    b'{"a":1' + b" " * MOST_JSON + b"} b=2",
    b"x" * (MOST_PAIRS - 4) + b" a=123",
    b"x" * MOST_PAIRS + b" a=1",
]


@pytest.mark.parametrize("line", PLAIN + OTHERS)
def test_a_line_has_the_same_fields_from_both(line: bytes) -> None:
    same([line])


def test_all_of_them_have_the_same_columns_from_both() -> None:
    same(PLAIN + OTHERS)
    same(PLAIN + OTHERS, 5)


@pytest.mark.parametrize("line", PLAIN)
def test_what_is_plain_is_read_by_the_kernel(line: bytes) -> None:
    assert is_read_by_the_kernel(line)


def test_a_number_ends_with_its_line() -> None:
    found = same([b"a=1", b"2=3", b'{"a":4}', b"5"])
    assert struct.unpack("<2d", found.numbers[b"a"].values) == (1.0, 4.0)


texts = st.lists(
    st.sampled_from(["a", "b", "ü", "€", '"', "\\", "$num", ".", " ", "=", "{", "1", "\n"]), max_size=6
).map("".join)
numbers = (
    st.integers()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**15), max_value=10**15)
)
leaves = st.none() | st.booleans() | texts.map(orjson.dumps) | numbers


def written(value: object) -> bytes:
    """Write a value as JSON has it; what is bytes is written already."""
    if isinstance(value, bytes):
        return value
    return {"None": "null", "True": "true", "False": "false"}.get(f"{value}", f"{value}").encode()


spaces = st.sampled_from([b"", b"", b"", b" ", b"\n\t"])
members = st.tuples(texts.map(orjson.dumps), spaces, spaces, leaves.map(written) | st.just(b'{"x":[1]}'), spaces).map(
    lambda one: one[0] + one[1] + b":" + one[2] + one[3] + one[4]
)
objects = st.tuples(spaces, st.lists(members, max_size=6).map(b",".join), spaces).map(
    lambda one: b"{" + one[0] + one[1] + b"}" + one[2]
)
pairs = st.lists(
    st.tuples(st.sampled_from([b"a", b"b", b"level", b"x.y-z"]), texts.map(str.encode) | numbers.map(written)).map(
        lambda one: one[0] + b"=" + one[1]
    ),
    max_size=5,
).map(b" ".join)
damaged = st.tuples(objects, st.integers(0, 60), st.binary(max_size=2)).map(
    lambda one: one[0][: one[1]] + one[2] + one[0][one[1] + len(one[2]) :]
)
lines = st.lists(objects | pairs | damaged | st.binary(max_size=40), max_size=6)


@settings(max_examples=200)
@given(lines, st.integers(0, 6))
def test_the_kernels_find_the_same_in_any_lines(some: list[bytes], most: int) -> None:
    same(some, most)


ALPHABET = [*(bytes([one]) for one in b'"{}:,a1.-e0 \\=\xff'), b"true", b"null"]


@settings(max_examples=400)
@given(st.lists(st.lists(st.sampled_from(ALPHABET), max_size=14).map(b"".join), max_size=3))
def test_and_in_what_looks_like_them(some: list[bytes]) -> None:
    same([b"{" + line for line in some] + some)


JSON_NUMBER = rb"-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?"


@settings(max_examples=300)
@given(numbers.map(written) | st.from_regex(JSON_NUMBER, fullmatch=True))
def test_a_number_is_the_nearest_one(number: bytes) -> None:
    same([b'{"a":' + number + b"}", b"a=" + number])


@pytest.mark.parametrize("part", [b'{"a":', b'{"k":1,', b'{"k', b"{", b'k="\\', b'{"a":1}', b"k=1 ", b'"a":1,'])
def test_a_long_hostile_line_is_one_pass(part: bytes) -> None:
    same([b"{" + part * 20_000, part * 20_000])
