"""Pairs: what stands behind which key, and that the kernels find alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envelope import kernel, reference
from envelope.pairs import PairKind

Find = Callable[[bytes, int], list[tuple[bytes, bytes, int]]]

TEXT, NUMBER, QUOTED = PairKind

LINES = {
    b"level=warn status=503": [(b"level", b"warn", TEXT), (b"status", b"503", NUMBER)],
    b'msg="two \\" words" n=-1.5e3': [(b"msg", b'two \\" words', QUOTED), (b"n", b"-1.5e3", NUMBER)],
    b"a=1,b=2;(c=3)[d=4]{e=5}|f=6": [(bytes([97 + n]), b"%d" % (n + 1), NUMBER) for n in range(6)],
    b"logname= uid=0": [(b"uid", b"0", NUMBER)],
    b"x==y 1a=2 /p?q=r _k.l-m=n": [(b"_k.l-m", b"n", TEXT)],
    b'a="open b=1': [],
    b'a="" b=': [(b"a", b"", QUOTED)],
    b"a=1b": [(b"a", b"1b", TEXT)],
    b"a=. b=1. c=.5 d=1e5 e=1e f=+7 g=1e1234": [
        (b"a", b".", TEXT),
        (b"b", b"1.", TEXT),
        (b"c", b".5", NUMBER),
        (b"d", b"1e5", NUMBER),
        (b"e", b"1e", TEXT),
        (b"f", b"+7", NUMBER),
        (b"g", b"1e1234", TEXT),
    ],
    b"k" * 100 + b"=1 " + b"k" * 101 + b"=1": [(b"k" * 100, b"1", NUMBER)],
    b"n=" + b"1" * 19: [(b"n", b"1" * 19, TEXT)],
    b"": [],
    b"=": [],
}

both = pytest.mark.parametrize("pairs", [kernel.pairs, reference.pairs])


@both
@pytest.mark.parametrize(("line", "found"), LINES.items())
def test_a_line_has_these_pairs(pairs: Find, line: bytes, found: list[tuple[bytes, bytes, int]]) -> None:
    assert pairs(line, 64) == found


@both
def test_no_more_pairs_than_wanted(pairs: Find) -> None:
    assert [key for key, _, _ in pairs(b"a=1 b=2 c=3", 2)] == [b"a", b"b"]


PARTS = [
    b"a=",
    b"key_1.x-y=",
    b'"',
    b"\\",
    b" ",
    b"\t",
    b",",
    b"=",
    b"1",
    b".5",
    b"e9",
    b"-",
    b"x",
    b"(",
    b"]",
    b"|",
    b"\xff",
    b"\n",
]


@settings(max_examples=1500)
@given(st.lists(st.sampled_from(PARTS), max_size=14).map(b"".join) | st.binary(max_size=30), st.integers(0, 5))
def test_the_kernels_find_alike(line: bytes, most: int) -> None:
    assert kernel.pairs(line, most) == reference.pairs(line, most)


@both
@pytest.mark.parametrize("part", [b'k="\\', b"k=", b' k="x', b"kkkk", b"k " * 3])
def test_a_long_hostile_line_is_one_pass(pairs: Find, part: bytes) -> None:
    assert len(pairs(part * 100_000, 64)) <= 64
