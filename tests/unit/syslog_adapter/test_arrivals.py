from syslog_adapter.arrivals import MOST_MARKS, Arrivals


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


def test_of_very_many_it_knows_about_when_each_came() -> None:
    arrivals, most = Arrivals(), 20 * MOST_MARKS
    for number in range(1, most):
        arrivals.put(number, float(number))
    for gone in range(0, most, 777):
        arrivals.forget(gone)
        came = -arrivals.oldest_s(0.0)
        assert gone + 1 - most / 250 <= came <= gone + 1
    arrivals.forget(most)
    assert arrivals.oldest_s(0.0) == 0.0
