"""A batch that is cut is all there, in order, and no piece is larger than it has to be."""

import pytest

from log_cache.pieces import pieces
from tests.unit.log_cache.envelopes import batch_of_times


@pytest.mark.parametrize(("most_bytes", "most_envelopes"), [(1 << 20, 3), (40, 1000), (1, 1), (1 << 20, 1000)])
def test_pieces_together_are_the_batch(most_bytes: int, most_envelopes: int) -> None:
    whole = batch_of_times(*range(10))

    cut = list(pieces(whole, most_bytes, most_envelopes))

    assert b"".join(piece for piece, _ in cut) == whole
    assert sum(count for _, count in cut) == 10
    assert all(count == 1 or (len(piece) <= most_bytes and count <= most_envelopes) for piece, count in cut)


def test_as_much_is_in_one_as_fits() -> None:
    whole = batch_of_times(*range(10))

    assert [count for _, count in pieces(whole, 1 << 20, 4)] == [4, 4, 2]


def test_of_nothing_there_are_none() -> None:
    assert list(pieces(b"", 1, 1)) == []
