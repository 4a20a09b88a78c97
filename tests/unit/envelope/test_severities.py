"""Severities: what each line says of its level, and that the kernels guess alike."""

from __future__ import annotations

import struct
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envelope import kernel, reference
from envelope.severities import WORDS, Severity, guess

LINES = {
    b"2015-10-18 18:01:50,353 INFO [main] o.a.h.MRAppMaster: OutputCommitter set in config null": Severity.INFO,
    b"2015-07-29 19:13:17,524 - WARN  [SendWorker:1889@688] - Send worker leaving thread": Severity.WARN,
    b"[Sun Dec 04 04:51:09 2005] [notice] jk2_init() Found child 6728": Severity.INFO,
    b"[Sun Dec 04 04:51:09 2005] [error] mod_jk child in error state 6": Severity.ERROR,
    b"Error: no such file": Severity.ERROR,
    b"level=debug msg=started": Severity.DEBUG,
    b'{"ts":1,"level":"warning","msg":"an error"}': Severity.WARN,
    b"{'level': 'fatal'}": Severity.FATAL,
    b"<11>Oct 11 22:14:15 host su: failed": Severity.ERROR,
    b"<999>no priority": Severity.UNKNOWN,
    b"E0512 10:11:12.345 1 main.go:1] boom": Severity.ERROR,
    b"I0512 all is well": Severity.INFO,
    b"there was an error in the file": Severity.UNKNOWN,
    b"ERRORS 3": Severity.UNKNOWN,
    b"NO_ERROR here": Severity.UNKNOWN,
    b"TRACE then ERROR": Severity.TRACE,
    b"": Severity.UNKNOWN,
    b" " * 250 + b"ERROR": Severity.ERROR,
    b" " * 252 + b"ERROR": Severity.UNKNOWN,
    b" " * 300 + b"ERROR": Severity.UNKNOWN,
    b"\xff\xfe PANIC \x00": Severity.FATAL,
}


def joined(lines: list[bytes]) -> tuple[bytes, bytes]:
    ends = [0, *accumulate(map(len, lines))]
    return b"".join(lines), struct.pack(f"<{len(ends)}i", *ends)


@pytest.mark.parametrize(("line", "severity"), LINES.items())
def test_a_line_says_how_severe_it_is(line: bytes, severity: Severity) -> None:
    assert guess(line) == severity


def test_the_kernels_guess_the_same_of_these() -> None:
    arguments = joined([*LINES])
    assert kernel.severities(*arguments) == reference.severities(*arguments) == bytes(LINES.values())


PARTS = [
    *WORDS,
    *(word.upper() for word in WORDS),
    *(bytes([each]) for each in b"[]<>()=:\"' ._E1W\xff"),
    b"<11>",
    b"<191>",
    b"<192>",
]
lines = st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join) | st.binary(max_size=40)
long_lines = st.tuples(st.integers(230, 260), lines).map(lambda pair: b" " * pair[0] + pair[1])


@settings(max_examples=1000)
@given(st.lists(lines | long_lines, max_size=5))
def test_the_kernels_guess_alike(texts: list[bytes]) -> None:
    arguments = joined(texts)
    assert kernel.severities(*arguments) == reference.severities(*arguments)


@pytest.mark.parametrize("severities", [kernel.severities, reference.severities])
@pytest.mark.parametrize("ends", [[0, 4], [0, 2, 1], [0, -1]])
def test_an_offset_outside_the_texts_is_refused(severities: object, ends: list[int]) -> None:
    with pytest.raises(ValueError, match="ends at"):
        severities(b"abc", struct.pack(f"<{len(ends)}i", *ends))  # type: ignore[operator]
