from syslog_adapter.arrivals import Arrivals


def test_the_oldest_that_has_not_gone_says_how_long() -> None:
    arrivals = Arrivals()
    arrivals.put(10, 1.0)
    arrivals.put(20, 2.0)

    arrivals.forget(9)
    assert arrivals.oldest_s(5.0) == 4.0
    arrivals.forget(10)
    assert arrivals.oldest_s(5.0) == 3.0
    arrivals.forget(20)
    assert arrivals.oldest_s(5.0) == 0.0
