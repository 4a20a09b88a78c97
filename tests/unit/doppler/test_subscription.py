"""What readers are owed survives slow readers, leaving readers and comings back, and is counted."""

import asyncio
import random
from collections.abc import Callable
from functools import partial

from doppler.subscription import DeterministicSubscription, Reader, Subscription
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from envelope.selectors import Interest, Request
from plumbing.diode import SharedDiode

REQUEST = Request(shard_id="s", interests=(Interest(Kind.LOG),), preferred_tags=True)


def ignore(_: Reader) -> None:
    pass


def make_diode(capacity: int) -> Callable[[], SharedDiode]:
    return partial(SharedDiode, capacity, 1 << 20)


def batch_of(count: int) -> bytes:
    return EnvelopeBatch(batch=[Envelope(log={})] * count).SerializeToString()


def offer(subscription: Subscription, count: int) -> None:
    subscription.offer(batch_of(count), count, Kind.LOG)


def read(reader: Reader) -> list[Envelope]:
    parcels = asyncio.run(reader.next(1 << 20))
    reader.delivered(sum(parcel.envelopes for parcel in parcels))
    return list(EnvelopeBatch.FromString(b"".join(parcel.batch for parcel in parcels)).batch)


def test_a_reader_that_was_too_slow_is_told_before_the_rest() -> None:
    subscription = Subscription("s", REQUEST, make_diode(3), lambda: 7)
    reader = subscription.join(ignore, "")
    for _ in range(5):
        offer(subscription, 1)

    first, *rest = read(reader)

    assert (first.counter.name, first.counter.delta, first.counter.total) == ("dropped", 2, 2)
    assert len(rest) == 3
    assert subscription.account().dropped == {"overflow": 2, "expired": 0}


def test_it_is_told_once_and_then_only_what_is_new() -> None:
    subscription = Subscription("s", REQUEST, make_diode(1), lambda: 7)
    reader = subscription.join(ignore, "")
    offer(subscription, 1)
    offer(subscription, 1)
    read(reader)
    offer(subscription, 1)

    assert [envelope.WhichOneof("message") for envelope in read(reader)] == ["log"]

    for _ in range(3):
        offer(subscription, 1)
    assert (notice := read(reader)[0].counter).delta == 2
    assert notice.total == 3


def test_the_notice_is_in_the_books_too() -> None:
    subscription = Subscription("s", REQUEST, make_diode(1), lambda: 7)
    reader = subscription.join(ignore, "")
    offer(subscription, 1)
    offer(subscription, 1)

    read(reader)

    account = subscription.account()
    assert (account.received, account.delivered, account.dropped_total, account.balance) == (3, 2, 1, 0)


def test_a_notice_that_did_not_arrive_is_made_anew_and_tells_all() -> None:
    subscription = Subscription("s", REQUEST, make_diode(3), lambda: 7)
    slow = subscription.join(ignore, "")
    for _ in range(5):
        offer(subscription, 1)
    taken = asyncio.run(slow.next(1 << 20))
    for _ in range(3):
        offer(subscription, 1)

    slow.leave(taken)  # no room for it any more
    first, *rest = read(subscription.join(ignore, ""))

    assert (first.counter.delta, first.counter.total, len(rest)) == (5, 5, 3)
    account = subscription.account()
    assert (account.dropped_total, account.skipped, account.balance) == (5, 1, 0)


def test_named_readers_with_deterministic_names_keep_what_a_leaver_held() -> None:
    subscription = DeterministicSubscription("s", REQUEST, make_diode(100), lambda: 7, random.Random(1))
    stayer, leaver = subscription.join(ignore, "a"), subscription.join(ignore, "b")
    for _ in range(20):
        offer(subscription, 1)

    leaver.leave(leaver.diode.take(1))

    assert len(read(stayer)) == 20
    assert subscription.account().balance == 0


def test_a_deterministic_subscription_lingers_with_its_last_reader_gone() -> None:
    subscription = DeterministicSubscription("s", REQUEST, make_diode(100), lambda: 7, random.Random(1))
    for name in ("a", "b"):
        subscription.join(ignore, name)
    for reader in list(subscription.readers):
        reader.leave([])
    offer(subscription, 4)

    assert len(read(subscription.join(ignore, "c"))) == 4
    assert subscription.account().balance == 0
