"""Clients are counted while they are there, and stay in the books when they have left."""

from typing import Any

from envelope.kinds import Keep
from plumbing.ledger import Account
from traffic_controller.doors import Stream
from traffic_controller.reader import ReaderCounts
from traffic_controller.readers import Readers


class FakeReader:
    def __init__(self, endpoint: str, name: str = "n") -> None:
        self.stream = Stream(endpoint=endpoint, name=name, request=b"", keep=Keep.ALL, explain=False)
        self.counts = ReaderCounts()
        self.was_slow = False

    def account(self) -> Account:
        return self.counts.account(self.stream)

    def delivers(self, envelopes: int) -> None:
        self.counts.arrived += envelopes
        self.counts.delivered += envelopes


def enter(readers: Readers, reader: Any) -> Any:
    return readers.enter(reader)


def test_readers_are_counted_while_they_are_there() -> None:
    readers = Readers()

    with enter(readers, FakeReader("firehose")), enter(readers, FakeReader("stream")):
        assert (len(readers), readers.open_at("firehose"), readers.open_at("stream")) == (2, 1, 1)

    assert (len(readers), readers.open_at("firehose")) == (0, 0)


def test_what_was_delivered_stays_in_the_books() -> None:
    readers, reader = Readers(), FakeReader("firehose", "nozzle")

    with enter(readers, reader):
        reader.delivers(3)
        assert [account.delivered for account in readers.accounts()] == [3]

    (account,) = readers.accounts()
    assert (account.account, account.delivered, account.balance) == ("firehose nozzle", 3, 0)


def test_the_books_of_those_who_left_long_ago_are_added_up() -> None:
    readers = Readers()

    for _ in range(250):
        reader = FakeReader("stream")
        with enter(readers, reader):
            reader.delivers(2)

    assert len(readers.accounts()) == 100
    assert readers.total().delivered == 500
    assert readers.total().balance == 0


def test_slow_consumers_are_counted_when_they_have_left() -> None:
    readers, reader = Readers(), FakeReader("firehose")

    with enter(readers, reader):
        reader.was_slow = True

    assert readers.slow_consumers == 1


def test_who_was_cut_off_is_told_about() -> None:
    told: list[Stream] = []
    readers = Readers(told.append)
    for slow in (False, True):
        reader = FakeReader("firehose", str(slow))
        with enter(readers, reader):
            reader.was_slow = slow

    assert [stream.name for stream in told] == ["True"]


def test_what_was_delivered_is_known_for_each_endpoint() -> None:
    readers, firehose, app = Readers(), FakeReader("firehose"), FakeReader("stream")
    with enter(readers, app):
        with enter(readers, firehose):
            firehose.delivers(3)
            app.delivers(1)
        assert (readers.delivered_at("firehose"), readers.delivered_at("stream")) == (3, 1)
