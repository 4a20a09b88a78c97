from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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


async def test_a_closed_pool_has_no_drains_whatever_is_bound(nursery: trio.Nursery) -> None:
    pool = Pool(Dispatcher(), settings(OtherSide(), nursery))
    await pool.close(0)
    pool.apply(table(ONE, TWO))

    assert pool.drains == {}


async def test_a_drain_with_new_credentials_gets_the_spool_of_the_one_before(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    dispatcher, other = Dispatcher(), OtherSide()
    other.up = False
    pool = Pool(dispatcher, settings(other, nursery, spool_dir=tmp_path))
    spooled = Binding(url="syslog://one:514?spool=true", source_id="app")
    pool.apply(table(spooled, TWO))
    dispatcher.dispatch(lines("1"), 1, LOG)
    await until(lambda: pool.drains[spooled].on_disk == 1)

    renewed = replace(spooled, hostname="renewed")
    pool.apply(table(renewed, TWO))
    dispatcher.dispatch(lines("2"), 1, LOG)
    await until(lambda: pool.drains[renewed].on_disk == 2)
    account = pool.account()
    assert (account.received, account.held + account.in_flight, account.on_disk, account.balance) == (4, 4, 2, 0)
    assert (account.held, account.in_flight) == (2, 2), "what was in the hand of the one before is in no hand"

    pool.apply(table(TWO))  # it is given its time, and is closed before that is over
    await pool.close(0)
    assert (pool.account().dropped["closed"], pool.account().balance) == (4, 0)
    assert list(tmp_path.iterdir()) == []


async def test_drains_that_differ_in_their_credentials_alone_have_a_spool_each(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    dispatcher, other = Dispatcher(), OtherSide()
    other.up = False
    pool = Pool(dispatcher, settings(other, nursery, spool_dir=tmp_path), close_grace_s=0.01)
    one, two, three = (
        Binding(url="syslog://one:514?spool=true", source_id="app", key=f"secret {key}") for key in "123"
    )
    pool.apply(table(one, two))
    dispatcher.dispatch(lines("1"), 1, LOG)
    await until(lambda: all(drain.on_disk == 1 for drain in pool.drains.values()))
    first, second = (pool.drains[each].spool for each in (one, two))

    pool.apply(table(two, three))
    assert (pool.drains[two].spool, pool.drains[three].spool) == (second, first)
    dispatcher.dispatch(lines("2"), 1, LOG)
    await until(lambda: all(drain.on_disk == 2 for drain in pool.drains.values()))
    pool.apply(table(two))
    await until(lambda: len(list(pool.everyone)) == 1)
    assert [*tmp_path.iterdir()] == [second]
    await pool.close(0)

    pool = Pool(dispatcher, settings(other, nursery, spool_dir=tmp_path))
    pool.apply(table(one, two))
    assert (pool.drains[one].spool, pool.drains[two].spool) == (second, first), "what waits is found"
    await until(lambda: pool.account().on_disk == 2)
    assert "secret" not in f"{first} {second}"
    await pool.close(0)


async def test_drains_of_one_url_that_come_back_get_their_own_spools(nursery: trio.Nursery, tmp_path: Path) -> None:
    other = OtherSide()
    other.up = False
    pool = Pool(Dispatcher(), settings(other, nursery, spool_dir=tmp_path))
    one, two, three = (
        Binding(url="syslog://one:514?spool=true", source_id="app", key=f"secret {key}") for key in "123"
    )
    pool.apply(table(one, two))
    second = pool.drains[two].spool
    await until(lambda: len([*tmp_path.iterdir()]) == 2)

    pool.apply(table())
    pool.apply(table(three, two))

    assert pool.drains[two].spool == second
    assert pool.drains[three].spool != second
    pool.apply(table())
    pool.apply(table(two))
    assert pool.drains[two].spool == second
    await pool.close(0)


async def test_a_drain_that_comes_back_before_it_is_gone_gets_its_spool(nursery: trio.Nursery, tmp_path: Path) -> None:
    dispatcher, other = Dispatcher(), OtherSide()
    other.up = False
    pool = Pool(dispatcher, settings(other, nursery, spool_dir=tmp_path), close_grace_s=3600)
    spooled = Binding(url="syslog://one:514?spool=true", source_id="app")
    pool.apply(table(spooled, TWO))
    dispatcher.dispatch(lines("1"), 1, LOG)
    await until(lambda: pool.drains[spooled].on_disk == 1)

    pool.apply(table(TWO))
    pool.apply(table(spooled, TWO))
    dispatcher.dispatch(lines("2"), 1, LOG)
    await until(lambda: pool.drains[spooled].on_disk == 2)
    account = pool.account()
    assert (account.dropped_total, account.on_disk, account.balance) == (0, 2, 0)
    nursery.cancel_scope.cancel()


async def test_what_is_on_disk_stays_there_when_the_adapter_ends(nursery: trio.Nursery, tmp_path: Path) -> None:
    dispatcher, other = Dispatcher(), OtherSide()
    other.up = False
    pool = Pool(dispatcher, settings(other, nursery, spool_dir=tmp_path))
    pool.apply(table(Binding(url="syslog://one:514?spool=true", source_id="app")))
    dispatcher.dispatch(lines("1"), 1, LOG)
    (debt,) = dispatcher.debts()
    assert not debt.is_paid
    await until(lambda: pool.account().on_disk == 1)
    assert (debt.is_paid, dispatcher.debts()) == (True, ())

    await pool.close(0)

    assert (pool.account().dropped_total, pool.account().balance) == (0, 0)
    assert list(tmp_path.rglob("*.frames")) != []


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not condition():
            await trio.sleep(0.005)
