"""A source packs what arrives into few chunks, and counts what it holds as it goes."""

import hypothesis.strategies as st
from hypothesis import given

from envelope import kernel
from log_cache.chunk import Packer
from log_cache.source import SOURCE_BYTES, Head, Source
from tests.unit.log_cache.envelopes import batch_of_times

CHUNK_BYTES = 1000
PACKER = Packer()


def arrive(source: Source, *times: int, size: int = 0) -> None:
    ((part, index),) = kernel.deal(batch_of_times(*times, size=size)).values()
    source.add(part, index, min(times), max(times))


def source_of(*times: int) -> Source:
    source = Source(1)
    arrive(source, *times)
    return source


def times_of(source: Source) -> list[int]:
    return [time for stretch in source.stretches() for time in stretch.live_times().tolist()]


@given(
    arrivals=st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=20), min_size=1, max_size=8),
    packed=st.sets(st.integers(0, 7)),
    gone=st.integers(0, 200),
)
def test_its_sums_are_those_of_its_stretches(arrivals: list[list[int]], packed: set[int], gone: int) -> None:
    source = Source(1)
    for turn, times in enumerate(arrivals):
        arrive(source, *times)
        if turn in packed:
            source.seal(PACKER, CHUNK_BYTES)
    every = [time for times in arrivals for time in times]
    gone = min(gone, len(every) - 1)
    source.expire(source.oldest_of(gone), PACKER, CHUNK_BYTES)
    source.compact(PACKER, CHUNK_BYTES)

    stretches = source.stretches()
    assert sorted(times_of(source)) == sorted(every)[gone:]
    assert (source.count, source.expired, source.next) == (len(every) - gone, gone, 1 + len(every))
    assert (source.oldest, source.newest) == (min(times_of(source)), max(times_of(source)))
    assert source.live_bytes == sum(stretch.live_bytes for stretch in stretches)
    assert source.held_bytes == SOURCE_BYTES + sum(stretch.held_bytes for stretch in stretches)


def test_packing_a_little_at_a_time_leaves_few_chunks() -> None:
    source = source_of(0)

    for time in range(1, 500):
        arrive(source, time, size=10)
        source.seal(PACKER, 50_000)

    assert len(source.chunks) < 10
    assert times_of(source) == list(range(500))


def test_a_full_chunk_is_left_alone() -> None:
    source = source_of(*range(40))
    source.seal(PACKER, CHUNK_BYTES)
    before = source.chunks[0]

    arrive(source, 99)
    source.seal(PACKER, CHUNK_BYTES)

    assert source.chunks[0] is before


def test_what_has_expired_in_the_midst_gives_its_memory_back() -> None:
    source = source_of(*(0 if place % 2 else 9 for place in range(100)))
    source.seal(PACKER, CHUNK_BYTES)
    source.expire(source.oldest_of(50), PACKER, CHUNK_BYTES)
    held_bytes, chunks = source.held_bytes, len(source.chunks)

    assert source.dead_bytes() > 0
    source.compact(PACKER, CHUNK_BYTES)

    assert source.dead_bytes() == 0
    assert source.held_bytes < held_bytes
    assert len(source.chunks) < chunks
    assert times_of(source) == [9] * 50


def test_a_snapshot_of_a_head_does_not_grow_with_it() -> None:
    head = Head(1)
    ((part, index),) = kernel.deal(batch_of_times(5)).values()
    head.add(part, index, 5, 5)

    snapshot = head.snapshot()
    head.add(part, index, 5, 5)

    assert (snapshot.count, snapshot.loose().count, head.loose().count) == (1, 1, 2)
