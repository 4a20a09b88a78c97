from hypothesis import given
from hypothesis import strategies as st

from standpipe.writing.pace import Pace


def test_no_rate_never_waits() -> None:
    assert Pace(0).wait_s(10**9, now=0.0) == 0.0
    assert Pace(0).group(500) == 500


def test_the_first_lines_leave_at_once() -> None:
    assert Pace(10).wait_s(5, now=100.0) == 0.0


def test_the_next_lines_wait_for_their_turn() -> None:
    pace = Pace(10)
    pace.wait_s(5, now=100.0)

    assert pace.wait_s(5, now=100.2) == 0.5 - (100.2 - 100.0)


def test_time_not_used_is_not_saved_up() -> None:
    pace = Pace(10)
    pace.wait_s(5, now=0.0)

    assert pace.wait_s(5, now=60.0) == 0.0
    assert pace.wait_s(5, now=60.0) == 0.5


def test_lines_leave_in_groups_of_a_moment() -> None:
    assert [Pace(rate).group(500) for rate in (1, 50, 1000, 10**6)] == [1, 1, 20, 500]


@given(rate=st.integers(1, 10**6), counts=st.lists(st.integers(1, 500), min_size=1))
def test_no_more_leaves_than_the_rate_allows(rate: int, counts: list[int]) -> None:
    pace, now = Pace(rate), 0.0
    for count in counts:
        now += pace.wait_s(count, now)

    assert sum(counts[:-1]) <= now * rate * 1.000001 + 1e-6
