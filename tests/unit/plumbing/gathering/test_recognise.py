"""Envelopes that come again on a new stream are known again, however they are joined; others are not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbing.gathering import recognise
from plumbing.gathering.recognise import Memory, split
from tests.unit.plumbing.gathering.arrivals import logs, texts


class Streams:
    """Counts those that were opened."""

    def __init__(self) -> None:
        self.opened = 1

    def __call__(self) -> int:
        return self.opened


def come(memory: Memory, *lines: str) -> list[str]:
    batch, count, marks = memory.new_part(logs(*lines), len(lines))
    assert len(texts(batch)) == count == len(split(marks))
    return texts(batch)


def test_what_comes_first_is_new_and_leaves_a_mark_each() -> None:
    memory = Memory([], Streams())

    assert come(memory, "a", "b") == ["a", "b"]


@given(cuts=st.lists(st.integers(0, 12), max_size=4))
def test_what_is_repeated_on_a_new_stream_is_left_out_however_it_is_joined(cuts: list[int]) -> None:
    streams = Streams()
    memory = Memory([], streams)
    came, all_lines = [f"{n}" for n in range(8)], [f"{n}" for n in range(12)]
    come(memory, *came)
    streams.opened += 1

    bounds = [0, *sorted(cuts), 12]
    parts = [come(memory, *all_lines[start:end]) for start, end in pairwise(bounds)]

    assert [line for part in parts for line in part] == all_lines[8:]


def test_marks_of_before_are_known() -> None:
    _, _, marks = Memory([], Streams()).new_part(logs("a", "b"), 2)
    memory = Memory([marks], Streams())

    assert come(memory, "a", "b", "c") == ["c"]


def test_twins_on_the_same_stream_are_twins() -> None:
    memory = Memory([], Streams())

    assert [*come(memory, "a", "a"), *come(memory, "a")] == ["a"] * 3


def test_a_repetition_is_left_out_as_often_as_it_came_and_after_every_new_stream() -> None:
    streams = Streams()
    memory = Memory([], streams)
    come(memory, "a", "a")

    streams.opened += 1
    assert come(memory, "a") == []
    streams.opened += 1
    assert come(memory, "a", "a", "a") == ["a"]


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognise, "REMEMBERED", 2)
    streams = Streams()
    memory = Memory([], streams)
    come(memory, "a", "b", "c")
    streams.opened += 1

    assert come(memory, "a", "b", "c") == ["a"]  # the oldest was forgotten


def test_only_so_much_of_a_new_stream_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognise, "WATCHED_BYTES", 1)
    streams = Streams()
    memory = Memory([], streams)
    come(memory, "a", "b")
    streams.opened += 1

    assert (come(memory, "a"), come(memory, "b")) == ([], ["b"])
