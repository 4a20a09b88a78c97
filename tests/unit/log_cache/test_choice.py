"""The oldest go first, no more of them than must."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
from hypothesis import given

from log_cache.choice import choose_oldest, choose_whole

STRETCHES = st.lists(st.lists(st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1), min_size=1), max_size=6)


@dataclass(frozen=True)
class Times:
    times: list[int]

    @property
    def live(self) -> int:
        return len(self.times)

    @property
    def oldest(self) -> int:
        return min(self.times)

    @property
    def newest(self) -> int:
        return max(self.times)

    def live_times(self) -> npt.NDArray[np.int64]:
        return np.array(self.times, np.int64)


@given(stretches=STRETCHES, quota=st.integers(-1, 60))
def test_takes_the_oldest_and_of_equals_the_first(stretches: list[list[int]], quota: int) -> None:
    in_order = sorted((time, which) for which, times in enumerate(stretches) for time in times)
    expected: dict[int, int] = {}
    for _, which in in_order[: max(0, quota)]:
        expected[which] = expected.get(which, 0) + 1

    assert choose_oldest([Times(times) for times in stretches], [len(times) for times in stretches], quota) == expected


@given(stretches=STRETCHES, weight=st.integers(1, 1000), quota=st.integers(1, 3000))
def test_takes_until_it_weighs_enough(stretches: list[list[int]], weight: int, quota: int) -> None:
    weights = [weight * len(times) for times in stretches]

    chosen = choose_oldest([Times(times) for times in stretches], weights, quota)

    assert sum(chosen.values()) == min(sum(map(len, stretches)), math.ceil(quota / weight))


def test_does_not_look_at_what_is_behind() -> None:
    class Unseen(Times):
        def live_times(self) -> npt.NDArray[np.int64]:
            raise AssertionError("this is newer than all that goes")

    assert choose_oldest([Times([1, 2, 3]), Unseen([4, 5])], [3, 2], 2) == {0: 2}


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 9)), min_size=1, max_size=20), st.integers(1, 100))
def test_whole_stretches_go_the_oldest_first_until_enough_have_gone(sizes: list[tuple[int, int]], quota: int) -> None:
    stretches = [SimpleNamespace(middle=middle, held_bytes=held_bytes) for middle, held_bytes in sizes]

    chosen = choose_whole(stretches, quota)

    gone = [stretches[which] for which in chosen]
    left = [stretch for stretch in stretches if stretch not in gone]
    assert sum(each.held_bytes for each in gone) >= quota or not left
    assert sum(each.held_bytes for each in gone[:-1]) < quota
    assert all(each.middle <= other.middle for each in gone for other in left)


def test_nothing_goes_when_nothing_has_to() -> None:
    assert choose_whole([SimpleNamespace(middle=1, held_bytes=1)], 0) == []
