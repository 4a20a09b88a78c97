"""What every reader of the Dopplers does: check what comes, count it, and begin and end when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel
from envelope.framing import frame
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing.egress_client import Dopplers
from plumbing.subscription import Checked, FedCounts, Subscription, check

GOOD = EnvelopeBatch(batch=[Envelope(source_id="app", log={"payload": b"hello"})]).SerializeToString()
BAD = frame(b"\xff")


class Message:
    """A message of a Doppler."""

    def __init__(self, batch: bytes, *, is_kept: bool = True) -> None:
        self.batch = batch
        self.is_kept = is_kept

    def confirm(self) -> None:
        raise AssertionError("nobody but its taker knows when it is safe")


class FakeDopplers:
    """One Doppler, which has `messages` for whoever subscribes."""

    addresses = ("127.0.0.1:1",)
    rng = None

    def __init__(self, *messages: bytes) -> None:
        self.messages = messages
        self.requests: list[bytes] = []
        self.open_streams = 0
        self.is_over = False

    @asynccontextmanager
    async def stream(self, _: str) -> AsyncIterator["FakeDopplers"]:
        self.open_streams += 1
        try:
            yield self
        finally:
            self.open_streams -= 1

    async def open(self, request: bytes) -> None:
        self.requests.append(request)

    async def read_all(self, relay: Callable[[Any], Awaitable[None]]) -> None:
        for message in self.messages:
            await relay(Message(message))
        await asyncio.sleep(3600)


async def _reading(dopplers: FakeDopplers, taken: list[Checked], count: int) -> Subscription:
    """Read from Dopplers until so many messages have come."""

    async def take(checked: Checked) -> None:
        taken.append(checked)

    subscription = Subscription(take)
    subscription.open(cast(Dopplers, dopplers), b"request")
    while len(taken) < count:
        await asyncio.sleep(0)
    return subscription


def test_each_message_is_handed_over_checked_until_it_is_closed() -> None:
    dopplers, taken = FakeDopplers(GOOD + BAD, b"\xff", GOOD), list[Checked]()

    async def read() -> None:
        subscription = await _reading(dopplers, taken, 3)
        assert dopplers.open_streams == 1
        await subscription.close()

    asyncio.run(read())

    assert dopplers.requests == [b"request"]
    assert dopplers.open_streams == 0
    assert [(each.batch, each.count, each.malformed) for each in taken] == [(GOOD, 1, 1), (b"", 0, 1), (GOOD, 1, 0)]
    assert taken[0].kinds == Kind.LOG


def test_one_that_is_closed_is_never_opened() -> None:
    dopplers = FakeDopplers(GOOD)

    async def read() -> int:
        subscription = Subscription(cast(Any, None))
        await subscription.close()
        subscription.open(cast(Dopplers, dopplers), b"request")
        return len(asyncio.all_tasks())

    assert asyncio.run(read()) == 1
    assert dopplers.requests == []


def test_the_books_balance_and_know_what_strangers_sent() -> None:
    counts = FedCounts()
    for message in (Message(GOOD + GOOD + BAD), Message(GOOD), Message(GOOD + BAD, is_kept=False)):
        counts.note(check(message))

    account = counts.account(unwanted=1)

    assert (account.account, account.kind) == ("dopplers", "reader")
    assert (account.received, account.delivered, account.skipped, account.outside) == (6, 3, 3, 2)
    assert account.balance == 0


def test_what_is_all_good_stays_the_very_same_object() -> None:
    message = Message(GOOD)
    assert check(message).batch is message.batch


@given(st.binary(max_size=200))
def test_whatever_comes_is_envelopes_or_malformed(data: bytes) -> None:
    checked = check(Message(data))

    assert kernel.count(checked.batch) == checked.count
    assert checked.malformed >= 0
    assert kernel.admit(checked.batch) == (checked.batch, checked.count, checked.kinds, 0)
