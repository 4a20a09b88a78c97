"""What is put is remembered as far as there is room."""

import pytest

from event_store.engine.remembered import Remembered


def test_remembers_what_was_put() -> None:
    found = Remembered[str, list[int] | None](10_000)
    found.put("a", [1, 2], 16)
    found.put("b", None, 0)

    assert found.get("a") == [1, 2]
    assert found.get("b") is None
    with pytest.raises(KeyError):
        found.get("c")


def test_forgets_what_was_not_asked_for_longest() -> None:
    found = Remembered[str, list[int]](3 * (512 + 8))
    for name in "abc":
        found.put(name, [1], 8)
    found.get("a")
    found.put("d", [1], 8)

    with pytest.raises(KeyError):
        found.get("b")
    assert [found.get(name) for name in "acd"] == [[1]] * 3
    assert found.bytes <= found.max_bytes


def test_what_is_put_twice_counts_once_and_what_is_too_big_is_not_kept() -> None:
    found = Remembered[str, list[int]](2000)
    for _ in range(10):
        found.put("a", [1], 8)
    assert found.bytes == 512 + 8

    found.put("b", [], 8000)
    assert found.bytes == 0


def test_says_whether_there_is_room() -> None:
    found = Remembered[str, list[int]](2 * (512 + 8))
    found.put("a", [1], 8)

    assert (found.has_room(8), found.has_room(9)) == (True, False)
