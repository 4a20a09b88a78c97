"""Values by name are kept up to a bound, and what goes is counted."""

from hypothesis import given
from hypothesis import strategies as st

from metron.sources.counts import DoorCounts
from metron.sources.remembered import Remembered


def test_a_name_has_the_value_it_was_given_last() -> None:
    values = Remembered(2, 0, DoorCounts())

    values.set(b"a", 1)
    values.set(b"a", 2)

    assert values.get(b"a") == 2
    assert values.get(b"b") == 0


def test_the_name_that_was_set_longest_ago_goes_first() -> None:
    counts = DoorCounts()
    values = Remembered(2, 0, counts)

    for name in (b"a", b"b", b"a", b"c"):
        values.set(name, 1)

    assert [values.get(name) for name in (b"a", b"b", b"c")] == [1, 0, 1]
    assert counts.names_forgotten == 1


@given(names=st.lists(st.binary(max_size=1), max_size=40), max_names=st.integers(1, 5))
def test_the_last_names_set_are_those_remembered(names: list[bytes], max_names: int) -> None:
    values = Remembered(max_names, -1, DoorCounts())

    for at, name in enumerate(names):
        values.set(name, at)

    last = list(dict.fromkeys(reversed(names)))
    assert [values.get(name) != -1 for name in last] == [place < max_names for place in range(len(last))]
