"""Who vanished is remembered for a while, and suspected afterwards."""

import sys

from log_cache.vanished import Vanished


def test_a_source_vanished_since_only_after_it_did() -> None:
    vanished = Vanished()
    vanished.add(b"app", 10)

    assert vanished.since(b"app", 9)
    assert not vanished.since(b"app", 10)
    assert not vanished.since(b"other", 0)


def test_no_source_is_kept_to_remember_it() -> None:
    vanished, source_id = Vanished(), b"x" * 1_000_000
    before = sys.getrefcount(source_id)

    vanished.add(source_id, 10)

    assert sys.getrefcount(source_id) == before


def test_it_is_the_last_time_that_counts() -> None:
    vanished = Vanished()
    vanished.add(b"app", 10)
    vanished.add(b"app", 20)

    assert vanished.since(b"app", 15)


def test_what_is_forgotten_may_have_been_anyone() -> None:
    vanished = Vanished()
    for arrivals in range(5000):
        vanished.add(str(arrivals).encode(), arrivals)

    assert vanished.since(b"0", 0)
    assert vanished.since(b"other", 0)
    assert not vanished.since(b"other", 5000 - 4096)
    assert vanished.since(b"4999", 4998)
