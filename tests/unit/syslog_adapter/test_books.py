import trio

from plumbing.island import open_island
from syslog_adapter.binding import Binding
from syslog_adapter.bindings.table import Table
from syslog_adapter.books import FEW, accounts
from syslog_adapter.dispatch import Dispatcher
from syslog_adapter.intake import Intake
from syslog_adapter.pool import Pool
from tests.unit.syslog_adapter.lines import LOG, lines
from tests.unit.syslog_adapter.scripted_writer import OtherSide, settings


async def test_copies_are_the_drains_and_each_of_a_few_has_its_account(nursery: trio.Nursery) -> None:
    dispatcher = Dispatcher()
    pool = Pool(dispatcher, settings(OtherSide(), nursery))
    pool.apply(Table.of([Binding(url=f"syslog://u:x@h{n}:1", source_id="app") for n in range(2)], per_source=5))
    dispatcher.dispatch(lines("1", "2"), 2, LOG)

    async with open_island() as island:
        reader, together, *each = accounts(Intake(island, dispatcher), pool)

    assert (reader.kind, together.kind, together.received, together.held) == ("reader", "sink", 4, 4)
    assert [(one.account, one.received) for one in each] == [
        ("drain 1: syslog://h0:1", 2),
        ("drain 2: syslog://h1:1", 2),
    ]
    assert {one.kind for one in each} == {"part"}


async def test_many_drains_have_one_account(nursery: trio.Nursery) -> None:
    pool = Pool(Dispatcher(), settings(OtherSide(), nursery))
    pool.apply(Table.of([Binding(url=f"syslog://h{n}:1") for n in range(FEW + 1)], per_source=5))

    async with open_island() as island:
        assert len(accounts(Intake(island, Dispatcher()), pool)) == 2
