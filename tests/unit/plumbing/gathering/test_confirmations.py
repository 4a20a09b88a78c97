"""Arrivals are confirmed in their order, and only when they are safe."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from plumbing.egress_client import Arrival
from plumbing.gathering.confirmations import Confirmations, confirm_all
from tests.unit.plumbing.gathering.arrivals import arrival


@given(order=st.permutations(range(6)))
def test_confirms_a_row_as_far_as_it_is_safe(order: list[int]) -> None:
    confirmed: list[Arrival] = []
    arrivals = [[arrival(), arrival()] for _ in order]
    confirmations = Confirmations(confirmed.extend)
    safe = [confirmations.expect(each) for each in arrivals]

    for position, index in enumerate(order):
        safe[index]()
        reached = {*order[: position + 1]}
        first = next((each for each in range(6) if each not in reached), 6)
        assert confirmed == [each for pair in arrivals[:first] for each in pair]


def test_each_is_confirmed_once() -> None:
    told: list[Sequence[Arrival]] = []
    confirmations = Confirmations(told.append)

    confirmations.expect([arrival()])()
    confirmations.expect([arrival()])()

    assert [len(each) for each in told] == [1, 1]


def test_confirming_several_confirms_each() -> None:
    arrivals = [arrival(), arrival()]

    confirm_all(arrivals)

    assert [each.confirmed for each in arrivals] == [1, 1]  # type: ignore[attr-defined]
