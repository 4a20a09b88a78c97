"""Filters of words: what is in a text is found in its filter, little else is, and the kernels make the same ones."""

from __future__ import annotations

import re
import struct
import threading
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envelope import kernel, reference, words

BOTH = pytest.mark.parametrize("made_by", [kernel, reference])
PARTS = [
    b"ERROR",
    b"error",
    b"a",
    b"_",
    b"x9_Y",
    b"12345678",
    b"1234567",
    b"abcdefghi",
    b" ",
    b"-",
    b"\xff",
    b"\xc3\x84",
]
PARTS += [bytes([each]) for each in b"@[`{/:^\x7f\x00\x1f\x80AZaz09"]
WORDS = "abcXYZ019_"
texts = st.lists(st.sampled_from(PARTS), max_size=30).map(b"".join) | st.binary(max_size=60)


def arrow(lines: Sequence[bytes | None]) -> tuple[bytes, bytes, int, int, bytes]:
    """Lay texts out as Arrow does."""
    ends = [0, *accumulate(len(line or b"") for line in lines)]
    bits = bytearray(-(-len(lines) // 8))
    for row, line in enumerate(lines):
        bits[row >> 3] |= (line is not None) << (row & 7)
    every = b"".join(line or b"" for line in lines)
    return every, struct.pack(f"<{len(ends)}i", *ends), 0, len(lines), bytes(bits)


def words_in(lines: Sequence[bytes | None]) -> set[bytes]:
    return {word.lower() for line in lines if line is not None for word in re.findall(rb"[A-Za-z0-9_]+", line)}


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except ValueError as error:
        return str(error)


@settings(max_examples=500)
@given(st.lists(st.none() | texts, max_size=12))
def test_the_kernels_make_the_same_filters_and_each_word_is_in_them(lines: list[bytes | None]) -> None:
    made = kernel.word_filter(*arrow(lines))

    assert made == reference.word_filter(*arrow(lines))
    for word in words_in(lines):
        assert kernel.filter_has(made, word)
        assert kernel.filter_has(made, word.upper())
        assert reference.filter_has(made, word)


@given(st.lists(texts, min_size=1, max_size=12), st.data())
def test_the_words_of_some_rows_are_those_of_these_rows_alone(lines: list[bytes], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(lines)))
    rows = data.draw(st.integers(0, len(lines) - first))
    every, ends, _, _, bits = arrow(lines)

    some = kernel.word_filter(every, ends, first, rows, bits)

    assert some == reference.word_filter(every, ends, first, rows, bits)
    assert some == kernel.word_filter(*arrow(lines[first : first + rows])[:4], None)


@given(st.lists(texts, max_size=6), st.randoms())
def test_neither_order_nor_case_nor_repetition_makes_a_difference(lines: list[bytes], chance: Any) -> None:
    others = [line.swapcase() for line in lines] * 2
    chance.shuffle(others)

    assert kernel.word_filter(*arrow(others)) == kernel.word_filter(*arrow(lines))


@BOTH
def test_what_is_no_letter_digit_or_line_parts_words(made_by: Any) -> None:
    made = made_by.word_filter(*arrow([b"b@c[d`e{f/g:h^i\x7fj\x80k\xc3\xa4l", b"m", b"n"]))

    for word in b"bcdefghijklmn":
        assert made_by.filter_has(made, bytes([word]))
    assert not made_by.filter_has(made, b"mn")


@BOTH
def test_a_word_that_is_not_there_is_seldom_found(made_by: Any) -> None:
    made = made_by.word_filter(*arrow([b"w%d" % number for number in range(2000)]))

    count = 20_000 if made_by is kernel else 5000
    found = sum(made_by.filter_has(made, b"absent%d" % number) for number in range(count))

    assert found < count * 0.006
    assert len(made) < 2000 * 1.27


@BOTH
def test_without_words_no_word_is_there(made_by: Any) -> None:
    for lines in ([], [b""], [None], [b" -- "]):
        assert not made_by.filter_has(made_by.word_filter(*arrow(lines)), b"a")


@BOTH
@pytest.mark.parametrize("what", [b"", b"\0" * 7, b"\0\0\0\0\1\0\0\0ab", b"\0\0\0\0\xff\xff\xff\xff", b"\0" * 9])
def test_what_is_no_filter_may_have_any_word(made_by: Any, what: bytes) -> None:
    assert made_by.filter_has(what, b"a")


@BOTH
@pytest.mark.parametrize("word", [b"", b"a b", b"\xc3\xa4", b" a", b"12345678-"])
def test_what_is_no_word_is_not_looked_for(made_by: Any, word: bytes) -> None:
    with pytest.raises(ValueError, match="is no word"):
        made_by.filter_has(b"", word)


def test_words_that_no_try_makes_a_filter_of_may_be_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_MOST_TRIES", 0)

    assert reference.word_filter(*arrow([b"a"])) == b""


@given(st.binary(max_size=60), st.text(WORDS, min_size=1, max_size=20).map(str.encode))
def test_whatever_a_filter_is_made_of_the_kernels_find_the_same_in_it(content: bytes, word: bytes) -> None:
    sized = struct.pack("<B3xI", content[0] if content else 0, len(content) // 3) + content[: len(content) // 3 * 3]
    for filter_ in (content, sized, memoryview(sized)):
        assert kernel.filter_has(filter_, word) == reference.filter_has(filter_, word)


@settings(max_examples=500)
@given(
    st.binary(max_size=40),
    st.lists(st.integers(-2, 45), max_size=6),
    st.integers(-2, 6) | st.integers(),
    st.integers(-2, 6) | st.integers(),
    st.none() | st.binary(max_size=2),
)
def test_buffers_of_anything_are_refused_or_read_alike(
    every: bytes, ends: list[int], first: int, rows: int, bits: bytes | None
) -> None:
    arguments = (every, struct.pack(f"<{len(ends)}i", *ends), first, rows, bits)
    if min(first, rows) >= -(2**63) and max(first, rows) < 2**63:
        assert outcome(kernel.word_filter, *arguments) == outcome(reference.word_filter, *arguments)


def hashed(eight: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Hash words of eight small letters each, as `envelope.words` does."""
    low32, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    step_low, step_high = np.uint64(words._STEP & 0xFFFFFFFF), np.uint64(words._STEP >> 32)
    a = eight ^ np.uint64(words._START)
    low, high = a & low32, a >> half
    middle = high * step_low + (low * step_low >> half)
    upper = high * step_high + (middle >> half) + (low * step_high + (middle & low32) >> half)
    folded: np.ndarray[Any, Any] = a * np.uint64(words._STEP) ^ upper
    return folded


def test_words_whose_hashes_are_alike_take_no_longer_than_others() -> None:
    numbers, all_of = np.arange(8 << 20, dtype=np.uint64), np.zeros(8 << 20, np.uint64)
    for place in range(8):
        letter = np.uint64(0x61) + (numbers >> np.uint64(4 * place) & np.uint64(15))
        all_of |= letter << np.uint64(8 * place)
    alike = all_of[(hashed(all_of) & np.uint64(0xFFFF)) < 64]
    assert words._hash(alike[:1].tobytes()) & 0xFFFF < 64

    def took(some: np.ndarray[Any, Any]) -> float:
        lines = arrow([b" ".join(word.tobytes() for word in some)])
        began = time.perf_counter()
        kernel.word_filter(*lines)
        return time.perf_counter() - began

    others = all_of[: len(alike)]
    assert min(took(alike) for _ in range(5)) < 20 * min(took(others) for _ in range(5))


def test_offsets_that_change_meanwhile_are_refused_or_read_as_they_are() -> None:
    every, ends, *_ = arrow([b"ab cd " * 20_000] * 4)
    changing, over = bytearray(ends), threading.Event()

    def change() -> None:
        while not over.is_set():
            changing[8:12] = b"\xff\xff\xff\x7f"
            changing[8:12] = ends[8:12]

    thread = threading.Thread(target=change)
    thread.start()
    try:
        made = {outcome(kernel.word_filter, every, changing, 0, 4, None) for _ in range(100)}
    finally:
        over.set()
        thread.join()
    assert made <= {kernel.word_filter(every, ends, 0, 4, None), "text 1 is not within the 480000 bytes of all of them"}
