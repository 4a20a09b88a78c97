from syslog_adapter.retry import TRIES, wait_s, waits


def test_there_are_twenty_two_tries_and_a_wait_between_two_of_them() -> None:
    assert len(list(waits())) == TRIES - 1 == 21


def test_waits_double_from_a_millisecond_up_to_fifteen_seconds() -> None:
    milliseconds = [round(wait * 1000) for wait in waits()]

    assert milliseconds == [1, *(2**n for n in range(14)), *[15_000] * 6]


def test_after_the_last_try_there_is_none() -> None:
    assert wait_s(TRIES - 1) == 15.0
    assert wait_s(TRIES) is None
    assert wait_s(TRIES + 5) is None
