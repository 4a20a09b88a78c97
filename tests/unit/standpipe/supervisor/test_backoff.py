from hypothesis import given
from hypothesis import strategies as st

from standpipe.supervisor.backoff import FIRST_S, HEALTHY_S, LONGEST_S, Backoff


def test_waits_twice_as_long_after_each_short_life_up_to_a_limit() -> None:
    backoff = Backoff()
    assert [backoff.after(0.0) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_a_healthy_life_begins_anew() -> None:
    backoff = Backoff()
    short = [backoff.after(HEALTHY_S - 1) for _ in range(3)]
    assert short[-1] > FIRST_S
    assert [backoff.after(HEALTHY_S), backoff.after(0.0)] == [FIRST_S, 2 * FIRST_S]


@given(lives=st.lists(st.floats(0, 100)))
def test_every_wait_is_within_its_limits(lives: list[float]) -> None:
    backoff = Backoff()
    assert all(FIRST_S <= backoff.after(lived_s) <= LONGEST_S for lived_s in lives)
