from envelope.kinds import Kind
from syslog_adapter.drain_url import parse_drain_url
from syslog_adapter.sieve import Sieve
from tests.unit.syslog_adapter.lines import LOG, counter, lines, of


def test_kinds_patterns_and_rate_each_take_their_share() -> None:
    sieve = Sieve(parse_drain_url("syslog://drain?include=a&rate-limit=1"), 0.0)
    batch = lines("a1", "b", "a2") + of([counter()])

    assert sieve.sift(batch, 4, LOG | Kind.COUNTER, 0.0) == (lines("a1"), 2, 1)


def test_what_asks_for_nothing_special_gets_the_very_batch() -> None:
    batch = lines("1", "2")

    assert Sieve(parse_drain_url("syslog://drain"), 0.0).sift(batch, 2, LOG, 0.0)[0] is batch
