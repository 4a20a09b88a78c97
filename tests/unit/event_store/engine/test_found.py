"""What was found is remembered as far as there is room."""

import numpy as np
import pyarrow as pa
import pytest

from event_store.engine.found import NONE, Found, Key, Some


def key(name: str) -> Key:
    return name, frozenset({"word"}), frozenset()


def some(*seqs: int) -> Some:
    return Some(np.array(seqs, np.int64))


def test_remembers_what_was_put() -> None:
    found = Found(10_000)
    found.put(key("a"), some(1, 2))
    found.put(key("b"), None)

    assert found.get(key("a")).seqs.tolist() == [1, 2]
    assert found.get(key("b")) is None
    with pytest.raises(KeyError):
        found.get(key("c"))


def test_forgets_what_was_not_asked_for_longest() -> None:
    found = Found(3 * (512 + 4 + 8))
    for name in "abc":
        found.put(key(name), some(1))
    found.get(key("a"))
    found.put(key("d"), some(1))

    with pytest.raises(KeyError):
        found.get(key("b"))
    assert [found.get(key(name)).seqs.tolist() for name in "acd"] == [[1]] * 3
    assert found.bytes <= found.max_bytes


def test_what_is_put_twice_counts_once_and_what_is_too_big_is_not_kept() -> None:
    found = Found(2000)
    for _ in range(10):
        found.put(key("a"), some(1))
    assert found.bytes == 512 + 4 + 8

    found.put(key("b"), Some(np.arange(1000)))
    assert found.bytes == 0


def test_some_of_some_keep_what_is_known_of_them() -> None:
    known = Some(np.array([3, 5, 9]), np.array([7, 1, 0]), pa.table({"message": ["three", "five", "nine"]}))

    few = known.only(np.array([3, 9]))

    assert (few.seqs.tolist(), few.rows.tolist()) == ([3, 9], [7, 0])
    assert few.held["message"].to_pylist() == ["three", "nine"]
    assert len(some(1, 2).only(np.array([2]))) == 1
    assert (len(NONE), NONE.nbytes) == (0, 0)
    assert known.nbytes > 48
