"""Lines out of chunks, fingerprints, and offsets that settle."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metron.sources.tail import FINGERPRINT_BYTES, MAX_RUN_LINES, Fingerprint, LineSplitter, Run, Settlement

texts = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"\x00", b"\xff", b"line", b"longer line"])).map(
    b"".join
)
limits = st.integers(1, 12)


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    content = draw(texts | st.binary(max_size=200))
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=8)))
    edges = [0, *cuts, len(content)]
    return content, [content[start:end] for start, end in pairwise(edges)]


def expected_lines(content: bytes, limit: int) -> list[bytes]:
    complete = [line.removesuffix(b"\r") for line in content.split(b"\n")[:-1]]
    return [
        piece for line in complete for piece in ([line[at : at + limit] for at in range(0, len(line), limit)] or [b""])
    ]


def lines_of(runs: list[Run]) -> list[bytes]:
    return [line for run in runs for line in run.lines]


@given(chunked(), limits)
def test_any_chunking_of_any_content_gives_the_same_lines(case: tuple[bytes, list[bytes]], limit: int) -> None:
    content, chunks = case
    splitter = LineSplitter(limit)

    lines = lines_of([run for chunk in chunks for run in splitter.feed(chunk)])

    whole = expected_lines(content, limit)
    assert lines[: len(whole)] == whole
    unfinished = content[content.rfind(b"\n") + 1 :]
    assert b"".join(lines[len(whole) :]) + unfinished[len(unfinished) - splitter.held :] == unfinished


@given(chunked(), limits)
def test_offsets_add_up_after_every_run(case: tuple[bytes, list[bytes]], limit: int) -> None:
    _, chunks = case
    splitter = LineSplitter(limit)
    fed = 0
    for chunk in chunks:
        before = splitter.offset
        runs = splitter.feed(chunk)
        fed += len(chunk)
        ends = [run.end for run in runs]
        assert splitter.read_offset == fed
        assert ends == sorted(set(ends))
        assert (ends[-1] if ends else before) == splitter.offset


@given(chunked(), limits)
def test_starting_again_at_any_run_loses_and_repeats_nothing(case: tuple[bytes, list[bytes]], limit: int) -> None:
    content, chunks = case
    first = LineSplitter(limit)
    seen: list[bytes] = []
    for chunk in chunks:
        for run in first.feed(chunk):
            seen += run.lines
            mid_line = content[run.end - 1 : run.end] != b"\n"
            second = LineSplitter(limit, run.end, mid_line=mid_line)
            rest = lines_of(second.feed(content[run.end :])) + lines_of(second.flush())
            whole = LineSplitter(limit)
            assert seen + rest == lines_of(whole.feed(content)) + lines_of(whole.flush())


@given(chunked(), limits)
def test_flush_leaves_nothing_behind(case: tuple[bytes, list[bytes]], limit: int) -> None:
    content, chunks = case
    splitter = LineSplitter(limit)
    for chunk in chunks:
        splitter.feed(chunk)

    splitter.flush()

    assert splitter.held == 0
    assert splitter.offset == len(content)


@given(chunked(), limits)
def test_a_long_line_is_counted_once(case: tuple[bytes, list[bytes]], limit: int) -> None:
    content, chunks = case
    splitter = LineSplitter(limit)

    counted = sum(run.long_lines for chunk in [*chunks, b"\n"] for run in splitter.feed(chunk))

    lines = [line.removesuffix(b"\r") for line in (content + b"\n").split(b"\n")[:-1]]
    assert counted == sum(len(line) > limit for line in lines)


def test_cr_before_lf_is_taken_off() -> None:
    assert lines_of(LineSplitter(100).feed(b"one\r\ntwo\r\n\r\n")) == [b"one", b"two", b""]


def test_cr_elsewhere_stays() -> None:
    assert lines_of(LineSplitter(100).feed(b"10%\r20%\nx\r\r\n")) == [b"10%\r20%", b"x\r"]


def test_empty_lines_are_lines() -> None:
    assert lines_of(LineSplitter(100).feed(b"\n\na\n\n")) == [b"", b"", b"a", b""]


def test_a_line_of_the_limit_stays_whole_with_its_crlf_in_another_chunk() -> None:
    splitter = LineSplitter(4)

    assert [lines_of(splitter.feed(chunk)) for chunk in (b"abcd", b"\r", b"\n")] == [[], [], [b"abcd"]]


def test_a_line_without_end_needs_no_more_memory_than_the_limit() -> None:
    splitter = LineSplitter(10)

    for _ in range(100):
        splitter.feed(b"x" * 7)

    assert splitter.held <= 11


def test_the_newline_of_a_flushed_line_is_no_empty_line() -> None:
    splitter = LineSplitter(100)
    splitter.feed(b"half")
    splitter.flush()

    runs = splitter.feed(b"\r\nnext\n")

    assert lines_of(runs) == [b"next"]
    assert runs[-1].end == len(b"half\r\nnext\n")


def test_a_newline_alone_moves_the_offset() -> None:
    splitter = LineSplitter(100, 4, mid_line=True)

    assert splitter.feed(b"\n") == [Run([], 5)]


def test_many_lines_come_in_several_runs() -> None:
    runs = LineSplitter(100).feed(b"\n" * (2 * MAX_RUN_LINES + 1))

    assert [len(run.lines) for run in runs] == [MAX_RUN_LINES, MAX_RUN_LINES, 1]


@given(st.binary(max_size=2 * FINGERPRINT_BYTES), st.binary(max_size=2 * FINGERPRINT_BYTES))
def test_a_fingerprint_matches_what_has_grown(head: bytes, more: bytes) -> None:
    assert Fingerprint.of(head).matches((head + more)[:FINGERPRINT_BYTES])


@pytest.mark.parametrize("head", [b"", b"abc", b"abd", b"xbcd"])
def test_a_fingerprint_does_not_match_other_or_less_content(head: bytes) -> None:
    assert not Fingerprint.of(b"abcd").matches(head)


def test_an_empty_fingerprint_matches_everything() -> None:
    assert Fingerprint().matches(b"anything")


@given(st.permutations(range(6)))
def test_the_settled_offset_never_passes_what_is_unsettled(order: list[int]) -> None:
    settlement = Settlement(100)
    settle = [settlement.expect(101 + index) for index in range(6)]
    done: set[int] = set()

    for index in order:
        settle[index]()
        done.add(index)
        assert settlement.offset == 100 + next((i for i in range(6) if i not in done), 6)
