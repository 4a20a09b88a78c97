"""Grouping arrivals: nothing is lost or cut, nothing is larger or older than it may be."""

import math

from hypothesis import given
from hypothesis import strategies as st

from plumbing.gathering.batcher import Batcher, Piece
from tests.unit.plumbing.gathering.arrivals import arrival

sizes = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 30)), max_size=50)


def batcher(envelopes: int = 10, size: int = 40) -> Batcher:
    return Batcher(max_envelopes=envelopes, max_bytes=size, max_age_s=1.0)


def piece(count: int = 1, size: int = 1, arrived: int = 0, mark: bytes = b"") -> Piece:
    return Piece(b"x" * size, count, arrival(b"x" * arrived), mark)


@given(sizes=sizes)
def test_keeps_every_arrival_in_order_and_within_the_limits(sizes: list[tuple[int, int]]) -> None:
    pieces = [piece(count, size, size) for count, size in sizes]
    under_test = batcher()

    bundles = [bundle for each in pieces for bundle in under_test.add(each, now=0.0)] + under_test.take()

    assert [each for bundle in bundles for each in bundle.arrivals] == [each.arrival for each in pieces]
    assert sum(bundle.count for bundle in bundles) == sum(each.count for each in pieces)
    assert b"".join(bundle.batch for bundle in bundles) == b"".join(each.batch for each in pieces)
    assert all(bundle.count <= 10 and len(bundle.batch) <= 40 for bundle in bundles)
    assert under_test.held == 0


def test_releases_a_full_bundle_at_once() -> None:
    under_test = batcher(envelopes=3)

    assert under_test.add(piece(2), 0.0) == []
    assert [bundle.count for bundle in under_test.add(piece(1), 0.0)] == [3]


def test_releases_before_it_would_be_too_large() -> None:
    under_test = batcher(envelopes=3)
    under_test.add(piece(2), 0.0)

    assert [bundle.count for bundle in under_test.add(piece(2), 5.0)] == [2]
    assert (under_test.held, under_test.due_at) == (2, 6.0)


def test_an_arrival_larger_than_the_limits_is_a_bundle_of_its_own() -> None:
    under_test = batcher(envelopes=3)
    under_test.add(piece(1), 0.0)

    assert [bundle.count for bundle in under_test.add(piece(9), 0.0)] == [1, 9]


def test_is_due_when_its_oldest_is_too_old() -> None:
    under_test = batcher()
    assert under_test.due_at == math.inf

    under_test.add(piece(), 7.0)
    under_test.add(piece(), 7.5)

    assert under_test.due_at == 8.0
    under_test.take()
    assert under_test.due_at == math.inf


def test_what_was_filtered_out_counts_towards_the_bytes_all_the_same() -> None:
    under_test = batcher(size=40)

    assert under_test.add(piece(0, 0, arrived=30), 0.0) == []
    assert [len(bundle.arrivals) for bundle in under_test.add(piece(0, 0, arrived=30), 0.0)] == [2]


def test_marks_stay_with_the_bundle() -> None:
    under_test = batcher()
    for mark in (b"a", b"", b"b"):
        under_test.add(piece(mark=mark), 0.0)

    assert under_test.take()[0].marks == (b"a", b"b")
