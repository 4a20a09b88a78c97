import trio
from trio.testing import MockClock

from syslog_adapter.binding import Binding
from syslog_adapter.bindings.table import Table
from syslog_adapter.dispatch import Dispatcher
from syslog_adapter.pool import Pool
from tests.unit.syslog_adapter.lines import LOG, lines
from tests.unit.syslog_adapter.scripted_writer import OtherSide, settings

ONE = Binding(url="syslog://one:514", source_id="app")
TWO = Binding(url="syslog://two:514", source_id="app")
ALL = Binding(url="syslog://all:514")


def table(*bindings: Binding) -> Table:
    return Table.of(bindings, per_source=5)


async def test_drains_come_and_go_and_the_others_live_on(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    dispatcher = Dispatcher()
    pool = Pool(dispatcher, settings(OtherSide(), nursery))
    pool.apply(table(ONE, ALL))
    kept = pool.drains[ALL]

    pool.apply(table(TWO, ALL))

    assert set(pool.drains) == {TWO, ALL}
    assert pool.drains[ALL] is kept
    assert len(list(pool.everyone)) == 2


async def test_the_books_of_drains_that_went_stay(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    dispatcher, other = Dispatcher(), OtherSide()
    pool = Pool(dispatcher, settings(other, nursery))
    pool.apply(table(ONE, TWO))
    dispatcher.dispatch(lines("1"), 1, LOG)
    await trio.sleep(1)
    pool.apply(table(TWO))
    dispatcher.dispatch(lines("2"), 1, LOG)
    await trio.sleep(1)
    pool.apply(table())
    await trio.sleep(1)
    pool.apply(table(ALL))

    account = pool.account()
    assert (account.received, account.delivered, account.balance) == (3, 3, 0)
    assert sorted(other.texts) == ["1", "1", "2"]
    assert len(list(pool.everyone)) == 1


async def test_an_app_is_told_what_it_lost_and_aggregates_are_nobody_s(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    dispatcher, other, told = Dispatcher(), OtherSide(), []
    other.up = False
    pool = Pool(dispatcher, settings(other, nursery, capacity=1, warn=lambda *words: told.append(words)))
    pool.apply(table(ONE, ALL))
    dispatcher.dispatch(lines("in hand"), 1, LOG)
    await trio.sleep(0.1)
    for text in "123":
        dispatcher.dispatch(lines(text), 1, LOG)
    told.clear()

    pool.tell_losses()
    pool.tell_losses()

    said = "2 messages lost for application app in user provided syslog drain with url syslog://one:514"
    assert told == [("app", said)]


async def test_closing_delivers_what_it_can(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    dispatcher, other = Dispatcher(), OtherSide()
    pool = Pool(dispatcher, settings(other, nursery))
    pool.apply(table(ONE, TWO))
    dispatcher.dispatch(lines("1"), 1, LOG)

    await pool.close(5)

    assert (pool.account().delivered, pool.account().held, pool.account().balance) == (2, 0, 0)
    assert dispatcher.dispatch(lines("2"), 1, LOG) == 1
    assert pool.active() == 0
