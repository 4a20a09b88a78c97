from envelope.kinds import Kind
from syslog_adapter.dispatch import Dispatcher
from tests.unit.syslog_adapter.lines import LOG, counter, lines, of, texts


class Taken:
    """A drain that only remembers."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.counts: list[tuple[int, int]] = []

    def offer(self, batch: bytes, count: int, kinds: int) -> None:
        self.texts += texts(batch)
        self.counts.append((count, kinds))


BATCH = lines("1", source_id="a") + lines("2", source_id="b") + lines("3", source_id="a")


def test_each_drain_gets_what_is_of_its_source() -> None:
    one, two, other = Taken(), Taken(), Taken()
    dispatcher = Dispatcher()
    dispatcher.route({b"a": (one, two), b"c": (other,)}, [])

    assert dispatcher.dispatch(BATCH, 3, LOG) == 1

    assert one.texts == two.texts == ["1", "3"]
    assert one.counts == [(2, LOG)]
    assert other.texts == []


def test_aggregate_drains_get_everything_and_a_source_s_own_drains_too() -> None:
    own, everything = Taken(), Taken()
    dispatcher = Dispatcher()
    dispatcher.route({b"a": (own,)}, [everything])

    assert dispatcher.dispatch(BATCH, 3, LOG) == 0

    assert own.texts == ["1", "3"]
    assert everything.texts == ["1", "2", "3"]


def test_the_kinds_are_those_of_the_part() -> None:
    own = Taken()
    dispatcher = Dispatcher()
    dispatcher.route({b"a": (own,)}, [])

    dispatcher.dispatch(lines("1", source_id="b") + of([counter("a")]), 2, int(Kind.LOG | Kind.COUNTER))

    assert own.counts == [(1, Kind.COUNTER)]


def test_what_drains_with_spools_have_not_made_safe_is_owed_until_they_have() -> None:
    class Spooled(Taken):
        accepted, unsafe = 7, 2

    slow, quick = Spooled(), Spooled()
    quick.unsafe = 0
    dispatcher = Dispatcher()
    dispatcher.route({b"a": (slow, quick)}, [], [slow, quick])

    (debt,) = dispatcher.debts()
    assert (debt.keeper, debt.is_paid) == (slow, False)
    slow.accepted, slow.unsafe = 10, 4
    assert not debt.is_paid
    slow.unsafe = 3
    assert debt.is_paid


def test_without_drains_nothing_concerns_anybody() -> None:
    assert Dispatcher().dispatch(BATCH, 3, LOG) == 3
