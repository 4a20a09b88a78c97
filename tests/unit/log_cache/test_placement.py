import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh64_intdigest

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache.placement import Placement, jump_hash


@pytest.mark.parametrize(
    ("key", "buckets", "bucket"),
    [(1, 1, 0), (42, 57, 43), (0xDEAD10CC, 1, 0), (0xDEAD10CC, 666, 361), (256, 1024, 520)],
)
def test_the_hash_is_the_one_that_others_compute(key: int, buckets: int, bucket: int) -> None:
    assert jump_hash(key, buckets) == bucket


@given(st.integers(0, (1 << 64) - 1), st.integers(1, 200))
def test_with_one_node_more_a_source_stays_or_goes_to_the_new_one(key: int, buckets: int) -> None:
    assert jump_hash(key, buckets + 1) in (jump_hash(key, buckets), buckets)


@given(st.binary(max_size=50), st.integers(1, 20))
def test_a_source_is_placed_by_the_xxhash64_of_its_name(source_id: bytes, nodes: int) -> None:
    placement = Placement(nodes)

    assert placement.node_of(source_id) == jump_hash(xxh64_intdigest(source_id), nodes) == placement.node_of(source_id)


def test_no_source_is_kept_to_remember_its_place() -> None:
    placement, source_id = Placement(3), b"x" * 1_000_000
    before = sys.getrefcount(source_id)

    placement.node_of(source_id)

    assert sys.getrefcount(source_id) == before


@given(st.lists(st.text(max_size=3), max_size=30), st.integers(1, 4))
def test_a_batch_is_dealt_out_and_nothing_is_lost_or_out_of_order(sources: list[str], nodes: int) -> None:
    envelopes = [Envelope(source_id=source, timestamp=at) for at, source in enumerate(sources)]
    placement = Placement(nodes)

    dealt = placement.deal(EnvelopeBatch(batch=envelopes).SerializeToString())

    parts = {node: list(EnvelopeBatch.FromString(part).batch) for node, (part, _) in dealt.items()}
    assert {node: len(part) for node, part in parts.items()} == {node: count for node, (_, count) in dealt.items()}
    for source in set(sources):
        here = [each for each in parts[placement.node_of(source.encode())] if each.source_id == source]
        assert here == [each for each in envelopes if each.source_id == source]
    assert sum(map(len, parts.values())) == len(envelopes)
