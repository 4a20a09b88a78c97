from hypothesis import given
from hypothesis import strategies as st

from syslog_adapter.rate import Allowance

asks = st.lists(st.tuples(st.integers(0, 50), st.floats(0, 3)), max_size=30)


@given(st.floats(0.1, 20), asks)
def test_no_more_than_the_rate_and_a_second_s_worth_pass(rate: float, asked: list[tuple[int, float]]) -> None:
    allowance, now, passed = Allowance(rate, 0.0), 0.0, 0

    for wanted, later in asked:
        now += later
        allowed = allowance.take(wanted, now)
        assert 0 <= allowed <= wanted
        passed += allowed

    assert passed <= max(1.0, rate) + rate * now + 1e-6


def test_what_was_not_used_is_there_a_second_later_but_no_more() -> None:
    allowance = Allowance(5.0, 0.0)

    assert [allowance.take(9, now) for now in (0.0, 0.1, 1.1, 100.0)] == [5, 0, 5, 5]
