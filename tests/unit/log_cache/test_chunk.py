"""A chunk gives back what was packed, whatever of it has expired."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from envelope import kernel
from log_cache.chunk import Chunk, Packer, cut, join, loose, merge, seal
from tests.unit.log_cache.envelopes import batch_of_times, names, times

TIMES = st.lists(st.integers(0, 5) | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40)


def dealt(*of_times: int, size: int = 0) -> tuple[bytes, bytes]:
    return kernel.deal(batch_of_times(*of_times, size=size))[b"app"]


def chunk_of(*of_times: int, first: int = 1, size: int = 0) -> Chunk:
    part, index = dealt(*of_times, size=size)
    (chunk,) = seal(*join([part], [index]), first, Packer(), 1 << 20)
    return chunk


def left_of(chunk: Chunk) -> bytes:
    return cut(Packer().raw(chunk), chunk.records, chunk.live_rows())


@given(of_times=TIMES, size=st.sampled_from((0, 2000)))
def test_gives_back_what_was_packed(of_times: list[int], size: int) -> None:
    part, _ = dealt(*of_times, size=size)

    chunk = chunk_of(*of_times, size=size)

    assert Packer().raw(chunk) == part
    assert (chunk.oldest, chunk.newest) == (min(of_times), max(of_times))
    assert chunk.ordered == (of_times == sorted(of_times))


def test_what_compresses_is_kept_small() -> None:
    chunk = chunk_of(*range(100), size=500)

    assert chunk.held_bytes < chunk.raw_bytes // 10


def test_what_is_small_is_kept_as_it_is() -> None:
    assert chunk_of(1).packed == dealt(1)[0]


@given(of_times=TIMES, data=st.data())
def test_expires_the_oldest_and_of_equals_the_first(of_times: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(of_times) - 1))
    whole = chunk_of(*of_times)
    by_time = sorted(range(len(of_times)), key=lambda place: of_times[place])

    left = whole.without_oldest(count) if count else whole

    assert names(left_of(left)) == [str(place) for place in sorted(by_time[count:])]
    assert left.live_times().tolist() == times(left_of(left))
    assert left.oldest == min(times(left_of(left)))
    assert left.live_bytes == len(left_of(left))
    assert names(left_of(whole)) == [str(place) for place in range(len(of_times))]


@given(parts=st.lists(TIMES, min_size=1, max_size=5))
def test_joins_batches_and_their_indices(parts: list[list[int]]) -> None:
    several = [dealt(*of_times) for of_times in parts]

    raw, records = join([part for part, _ in several], [index for _, index in several])

    ((whole, index),) = kernel.deal(raw).values()
    assert (raw, records.tobytes()) == (whole, index)


@given(of_times=TIMES, chunk_bytes=st.integers(1, 500))
def test_cuts_what_is_long_into_chunks_of_about_that_size(of_times: list[int], chunk_bytes: int) -> None:
    part, index = dealt(*of_times)

    chunks = seal(*join([part], [index]), 7, Packer(), chunk_bytes)

    assert b"".join(map(left_of, chunks)) == part
    numbers = [number for chunk in chunks for number in chunk.numbers_of(chunk.live_rows()).tolist()]
    assert numbers == list(range(7, 7 + len(of_times)))
    assert all(chunk.raw_bytes < 1.5 * chunk_bytes + 100 for chunk in chunks)


@given(first=TIMES, second=TIMES, data=st.data())
def test_merging_drops_what_has_expired_and_keeps_the_numbers(
    first: list[int], second: list[int], data: st.DataObject
) -> None:
    chunks = [chunk_of(*first, first=5), chunk_of(*second, first=5 + len(first))]
    aged = [
        chunk.without_oldest(count) if (count := data.draw(st.integers(0, chunk.count - 1))) else chunk
        for chunk in chunks
    ]

    (merged,) = merge(aged, Packer(), 1 << 20)

    assert left_of(merged) == b"".join(map(left_of, aged))
    assert Packer().raw(merged) == left_of(merged)
    expected = np.concatenate([chunk.numbers_of(chunk.live_rows()) for chunk in aged]).tolist()
    assert merged.numbers_of(merged.live_rows()).tolist() == expected
    assert (merged.first, merged.last) == (expected[0], expected[-1])


def test_a_loose_chunk_is_not_packed() -> None:
    part, index = dealt(*range(10), size=500)

    assert loose(*join([part], [index]), 1).packed == part
