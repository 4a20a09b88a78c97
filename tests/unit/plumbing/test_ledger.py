"""The books balance, or say by how much they do not."""

import os

from plumbing.ledger import Account, Incarnation, total


def account(**numbers: int) -> Account:
    return Account(**{"account": "a", "kind": "hop", "received": 0, "delivered": 0, **numbers})  # type: ignore[arg-type]


def test_an_account_balances_when_everything_is_somewhere() -> None:
    books = Account(
        account="a", kind="hop", received=21, delivered=10, dropped={"x": 1, "y": 2}, skipped=3, held=4, in_flight=1
    )

    assert books.balance == 0
    assert books.dropped_total == 3


def test_an_envelope_that_is_nowhere_shows_as_missing() -> None:
    assert account(received=5, delivered=4).balance == 1


def test_an_envelope_from_nowhere_shows_as_negative() -> None:
    assert account(received=5, delivered=6).balance == -1


def test_accounts_add_up() -> None:
    first = Account(
        account="a", kind="k", received=10, delivered=4, dropped={"x": 1}, skipped=1, held=2, in_flight=2, on_disk=3
    )
    second = Account(account="b", kind="k", received=5, delivered=2, dropped={"x": 1, "y": 2})

    both = total("both", "k", [first, second])

    assert both == Account(
        account="both",
        kind="k",
        received=15,
        delivered=6,
        dropped={"x": 2, "y": 2},
        skipped=1,
        held=2,
        in_flight=2,
        on_disk=3,
    )


def test_a_book_names_the_incarnation_and_shows_each_balance() -> None:
    one, other = Incarnation("doppler-0"), Incarnation("doppler-0")

    book = one.book([account(received=3, delivered=1)])

    assert book["component"] == "doppler-0"
    assert book["pid"] == os.getpid()
    assert book["accounts"][0]["balance"] == 2
    assert one.id != other.id
