"""A batch in pieces is the same envelopes in the same order, and no piece is larger than it must be."""

import hypothesis.strategies as st
from hypothesis import given

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from envelope.pieces import pieces


@given(sizes=st.lists(st.integers(0, 300), max_size=50), max_bytes=st.integers(1, 1000))
def test_pieces_are_the_whole_and_within_the_bound(sizes: list[int], max_bytes: int) -> None:
    batch = EnvelopeBatch(batch=[Envelope(log={"payload": b"x" * size}) for size in sizes]).SerializeToString()

    cut = list(pieces(batch, max_bytes))

    assert b"".join(piece for piece, _ in cut) == batch
    assert all(len(EnvelopeBatch.FromString(piece).batch) == count > 0 for piece, count in cut)
    assert all(len(piece) <= max_bytes or count == 1 for piece, count in cut)


def test_neighbours_share_a_piece_where_there_is_room() -> None:
    batch = EnvelopeBatch(batch=[Envelope(log={"payload": b"x"})] * 7).SerializeToString()

    assert [count for _, count in pieces(batch, len(batch) // 7 * 3)] == [3, 3, 1]
