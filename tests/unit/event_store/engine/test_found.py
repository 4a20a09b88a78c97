"""What was found is remembered as far as there is room."""

import numpy as np
import pytest

from event_store.engine.found import Found, Key


def key(name: str) -> Key:
    return name, frozenset({"word"})


def test_remembers_what_was_put() -> None:
    found = Found(10_000)
    found.put(key("a"), np.array([1, 2]))
    found.put(key("b"), None)

    assert found.get(key("a")).tolist() == [1, 2]
    assert found.get(key("b")) is None
    with pytest.raises(KeyError):
        found.get(key("c"))


def test_forgets_what_was_not_asked_for_longest() -> None:
    found = Found(3 * (512 + 4 + 8))
    for name in "abc":
        found.put(key(name), np.array([1]))
    found.get(key("a"))
    found.put(key("d"), np.array([1]))

    with pytest.raises(KeyError):
        found.get(key("b"))
    assert [found.get(key(name)).tolist() for name in "acd"] == [[1]] * 3
    assert found.bytes <= found.max_bytes


def test_what_is_put_twice_counts_once_and_what_is_too_big_is_not_kept() -> None:
    found = Found(2000)
    for _ in range(10):
        found.put(key("a"), np.array([1]))
    assert found.bytes == 512 + 4 + 8

    found.put(key("b"), np.arange(1000))
    assert found.bytes == 0
