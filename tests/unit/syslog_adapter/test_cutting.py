from hypothesis import given
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import Envelope
from syslog_adapter.cutting import Hand, cut
from tests.unit.syslog_adapter.lines import lines, of, texts


@given(st.integers(0, 6), st.integers(0, 8))
def test_nothing_is_lost_by_a_cut(size: int, count: int) -> None:
    batch = lines(*map(str, range(size)))

    first, rest = cut(batch, count)

    assert first + rest == batch
    assert len(texts(first)) == min(size, count)


def test_a_hand_lets_go_from_the_front() -> None:
    hand = Hand()
    hand.take(lines("1", "2", "3"), 3)

    assert (hand.let_go(1), hand.batch, hand.count) == (lines("1"), lines("2", "3"), 2)
    assert (hand.let_go(5), hand.batch, hand.count) == (lines("2", "3"), b"", 0)


def test_the_first_message_has_the_bare_ones_behind_it() -> None:
    hand = Hand()
    hand.take(lines("1") + of([Envelope(), Envelope()]) + lines("2"), 4)

    assert hand.first_message() == 3
    hand.let_go(3)
    assert hand.first_message() == 1
