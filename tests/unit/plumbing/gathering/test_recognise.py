"""Envelopes that come again on a new stream are known again, however they are joined; others are not."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from os import urandom

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbing.gathering import recognise
from plumbing.gathering.recognise import Memory, split
from tests.unit.plumbing.gathering.arrivals import FakeStream, logs, texts


def come(memory: Memory, stream: FakeStream, *lines: str) -> list[str]:
    batch, count, marks = memory.new_part(logs(*lines), len(lines), stream)
    assert len(texts(batch)) == count == len(split(marks))
    return texts(batch)


def test_what_comes_first_is_new_and_leaves_a_mark_each() -> None:
    assert come(Memory([]), FakeStream(), "a", "b") == ["a", "b"]


@given(cuts=st.lists(st.integers(0, 12), max_size=4))
def test_what_is_repeated_on_a_new_stream_is_left_out_however_it_is_joined(cuts: list[int]) -> None:
    memory, next_stream = Memory([]), FakeStream()
    came, all_lines = [f"{n}" for n in range(8)], [f"{n}" for n in range(12)]
    come(memory, FakeStream(), *came)

    bounds = [0, *sorted(cuts), 12]
    parts = [come(memory, next_stream, *all_lines[start:end]) for start, end in pairwise(bounds)]

    assert [line for part in parts for line in part] == all_lines[8:]


def test_marks_of_before_are_known() -> None:
    _, _, marks = Memory([]).new_part(logs("a", "b"), 2, FakeStream())
    memory = Memory([marks])

    assert come(memory, FakeStream("one"), "a", "c") == ["c"]
    assert come(memory, FakeStream("other"), "b", "c") == ["c"]


def test_twins_on_the_same_stream_are_twins() -> None:
    memory, stream = Memory([]), FakeStream()

    assert [*come(memory, stream, "a", "a"), *come(memory, stream, "a")] == ["a"] * 3


def test_what_another_peer_sent_is_no_repetition() -> None:
    memory = Memory([])
    come(memory, FakeStream("one"), "a")

    assert come(memory, FakeStream("other"), "a") == ["a"]


def test_however_much_others_bring_meanwhile_what_one_repeats_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognise, "REMEMBERED", 2)
    memory, other = Memory([]), FakeStream("other")
    come(memory, FakeStream("one"), "a", "b")
    for number in range(10):
        come(memory, other, f"{number}", f"{number}")

    assert come(memory, FakeStream("one"), "a", "b", "c") == ["c"]


def test_only_so_many_peers_are_remembered_of_those_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognise, "MOST_PEERS", 2)
    memory = Memory([])
    for peer in ("one", "two", "three"):
        stream = FakeStream(peer)
        come(memory, stream, "a")
        stream.is_over = True

    assert come(memory, FakeStream("three"), "a") == []
    assert come(memory, FakeStream("one"), "a") == ["a"]


def test_of_more_peers_none_is_forgotten_as_long_as_its_stream_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognise, "MOST_PEERS", 2)
    _, _, marks = Memory([]).new_part(logs("a"), 1, FakeStream())
    memory, streams = Memory([marks]), [FakeStream(peer) for peer in ("one", "two", "three")]

    assert [come(memory, stream, "a", "b") for stream in streams] == [["b"]] * 3
    assert [come(memory, stream, "a") for stream in streams] == [["a"]] * 3


def test_what_is_awaited_of_many_peers_at_once_takes_little_memory() -> None:
    peers, before, batch = 20, [urandom(8 * recognise.REMEMBERED)], logs("a")
    memory = Memory(before)

    with tracing() as taken:
        for number in range(peers):
            memory.new_part(batch, 1, FakeStream(f"{number}"))
        assert taken() < len(before[0])


def test_a_mark_takes_little_more_than_8_bytes_however_few_come_together() -> None:
    messages, memory, stream = 10_000, Memory([]), FakeStream()

    with tracing() as taken:
        for number in range(messages):
            memory.new_part(logs(f"{number}"), 1, stream)
        assert taken() < 16 * messages


@contextmanager
def tracing() -> Iterator[Callable[[], int]]:
    """Yield what says how much memory was taken since."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_what_was_before_is_known_on_a_second_stream_too() -> None:
    _, _, marks = Memory([]).new_part(logs("a", "b"), 2, FakeStream())
    memory = Memory([marks])

    assert come(memory, FakeStream("one"), "a", "b", "c") == ["c"]
    assert come(memory, FakeStream("one"), "a", "b", "c", "d") == ["d"]


def test_all_marks_of_before_are_known_on_the_first_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, marks = Memory([]).new_part(logs("a", "b", "c"), 3, FakeStream())
    monkeypatch.setattr(recognise, "REMEMBERED", 1)  # of each peer: these are of several
    memory = Memory([marks[:8], marks[8:16], marks[16:]])

    assert come(memory, FakeStream("one"), "a", "d") == ["d"]
    assert come(memory, FakeStream("other"), "b", "c") == []


def test_a_repetition_is_left_out_as_often_as_it_came_and_after_every_new_stream() -> None:
    memory = Memory([])
    come(memory, FakeStream(), "a", "a")

    assert come(memory, FakeStream(), "a") == []
    assert come(memory, FakeStream(), "a", "a", "a") == ["a"]


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognise, "REMEMBERED", 2)
    memory = Memory([])
    come(memory, FakeStream(), "a", "b", "c")

    assert come(memory, FakeStream(), "a", "b", "c") == ["a"]  # the oldest was forgotten


def test_only_so_much_of_a_new_stream_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognise, "WATCHED_BYTES", 1)
    memory, stream = Memory([]), FakeStream()
    come(memory, FakeStream(), "a", "b")

    assert (come(memory, stream, "a"), come(memory, stream, "b")) == ([], ["b"])
