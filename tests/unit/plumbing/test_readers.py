"""Readers are counted while they are there, and stay in the books when they have left."""

from plumbing.ledger import Account
from plumbing.readers import Roster


class FakeReader:
    def __init__(self) -> None:
        self.read = 0

    def account(self) -> Account:
        return Account(account="one", kind="reader", received=self.read, delivered=self.read)


def test_readers_are_counted_while_they_are_there() -> None:
    roster: Roster[FakeReader] = Roster()
    first, second = FakeReader(), FakeReader()

    roster.enter(first)
    roster.enter(second)
    roster.leave(first)

    assert (len(roster), list(roster)) == (1, [second])


def test_who_leaves_while_all_are_gone_through_harms_nothing() -> None:
    roster: Roster[FakeReader] = Roster()
    for _ in range(3):
        roster.enter(FakeReader())

    for reader in roster:
        roster.leave(reader)

    assert len(roster) == 0


def test_the_books_of_one_that_left_stay_as_they_were() -> None:
    roster: Roster[FakeReader] = Roster()
    reader = FakeReader()
    roster.enter(reader)
    reader.read = 3
    assert [account.delivered for account in roster.accounts()] == [3]

    roster.leave(reader)
    reader.read = 4

    assert [account.delivered for account in roster.accounts()] == [3]


def test_the_books_of_those_who_left_long_ago_are_added_up() -> None:
    roster: Roster[FakeReader] = Roster()

    for _ in range(250):
        reader = FakeReader()
        roster.enter(reader)
        reader.read = 2
        roster.leave(reader)

    assert len(roster.accounts()) == 100
    assert (roster.total().delivered, roster.total().balance) == (500, 0)
