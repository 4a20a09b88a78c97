"""Rows are merged by time, whatever chunks they are in, and few chunks are looked at for it."""

from collections.abc import Iterator

import hypothesis.strategies as st
import pytest
from hypothesis import given

from envelope import kernel
from log_cache.chunk import Chunk, Int64s, Packer, join, loose, seal
from log_cache.selection import Selection, SelectionReader, in_order_of_time
from tests.unit.log_cache.envelopes import batch_of_times, times

TIMES = st.lists(st.integers(0, 9) | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=12)


def chunks_of(*parts: list[int]) -> list[Chunk]:
    chunks: list[Chunk] = []
    for part in parts:
        ((raw, index),) = kernel.deal(batch_of_times(*part)).values()
        chunks.append(loose(*join([raw], [index]), chunks[-1].last + 1 if chunks else 1))
    return chunks


def placed(selections: Iterator[Selection]) -> list[int]:
    return [selection.number(place) for selection in selections for place in range(len(selection))]


@given(parts=st.lists(TIMES, max_size=8), descending=st.booleans())
def test_merges_by_time_and_of_equals_by_arrival(parts: list[list[int]], descending: bool) -> None:
    every = [time for part in parts for time in part]
    expected = sorted(range(1, len(every) + 1), key=lambda number: every[number - 1])

    merged = placed(in_order_of_time(chunks_of(*parts), Chunk.live_rows, descending=descending))

    assert merged == (expected[::-1] if descending else expected)


@given(parts=st.lists(TIMES, min_size=1, max_size=8), start=st.integers(0, 20), length=st.integers(0, 40))
def test_reads_any_part_of_a_selection_in_its_order(parts: list[list[int]], start: int, length: int) -> None:
    reader = SelectionReader()
    read: list[int] = []
    for selection in in_order_of_time(chunks_of(*parts), Chunk.live_rows, descending=False):
        read += times(reader.batch(selection[:start]))
        read += times(reader.batch(selection[start : start + length]))
        read += times(reader.batch(selection[start + length :]))

    assert read == sorted(time for part in parts for time in part)


@pytest.mark.parametrize(("descending", "first"), [(False, 0), (True, 9)])
def test_looks_at_one_chunk_after_the_other_where_they_do_not_overlap(descending: bool, first: int) -> None:
    chunks = chunks_of(*([10 * place, 10 * place + 5] for place in range(10)))
    seen: list[int] = []

    def rows_of(chunk: Chunk) -> Int64s:
        seen.append(chunks.index(chunk))
        return chunk.live_rows()

    next(in_order_of_time(chunks, rows_of, descending=descending))

    assert seen == [first]


def test_looks_a_little_ahead_where_each_overlaps_the_next() -> None:
    chunks = chunks_of(*([10 * place, 10 * place + 15] for place in range(100)))
    seen: list[Chunk] = []

    def rows_of(chunk: Chunk) -> Int64s:
        seen.append(chunk)
        return chunk.live_rows()

    next(in_order_of_time(chunks, rows_of, descending=False))

    assert len(seen) <= 4


def test_unpacks_a_chunk_once_for_all_its_parts() -> None:
    ((raw, index),) = kernel.deal(batch_of_times(*range(100), size=500)).values()
    (chunk,) = seal(*join([raw], [index]), 1, Packer(), 1 << 20)
    whole = Selection.of(chunk, chunk.live_rows())
    reader = SelectionReader()

    assert reader.batch(whole[:50]) + reader.batch(whole[50:]) == raw
    assert reader.unpacked == 1
