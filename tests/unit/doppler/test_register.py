"""Subscriptions are shared by key, linger, end, and stay in the books; their number has one bound for all wires."""

from functools import partial

import pytest

from doppler.register import Places, Register, TooManySubscriptions
from doppler.subscription import Reader, Subscription
from envelope.selectors import Request
from plumbing.diode import Parcel, SharedDiode
from tests.unit.doppler.routing import log, logs, make_router, read, route, subscribe


class Plain(Register):
    """A wire on which everybody is offered everything."""

    def __init__(self, most: int = 10) -> None:
        super().__init__(Places(most), linger_s=30)
        self.offered_to: list[Subscription] = []

    def subscribe(self, shard: str = "") -> Reader:
        return self._join(shard or object(), partial(self._open, shard))

    def _open(self, shard: str) -> Subscription:
        subscription = Subscription(shard, Request(shard, (), True), partial(SharedDiode, 9, 99), lambda: 0)
        self.offered_to.append(subscription)
        return subscription

    def _ended(self, subscription: Subscription) -> None:
        self.offered_to.remove(subscription)


def test_readers_with_one_key_share_a_subscription() -> None:
    register = Plain()

    one, other = register.subscribe("s"), register.subscribe("s")

    assert one.subscription is other.subscription
    assert (register.subscriptions, register.readers) == (1, 2)


def test_an_unnamed_subscription_ends_with_its_reader_and_frees_its_place() -> None:
    register = Plain(most=1)

    register.subscribe().leave([])

    assert (register.subscriptions, register.places.taken, register.offered_to) == (0, 0, [])
    register.subscribe()


def test_a_named_subscription_keeps_its_place_while_it_lingers() -> None:
    register = Plain(most=1)
    register.subscribe("s").leave([])
    register.expire(now=100)
    register.expire(now=129)
    with pytest.raises(TooManySubscriptions, match="at most 1"):
        register.subscribe("t")

    register.expire(now=130)

    register.subscribe("t")


def test_wires_share_their_places() -> None:
    v1, v2 = Plain(most=1), Plain()
    v2.places = v1.places
    v1.subscribe()

    with pytest.raises(TooManySubscriptions):
        v2.subscribe()


def test_joining_a_subscription_takes_no_place() -> None:
    register = Plain(most=1)
    register.subscribe("s")

    register.subscribe("s")

    assert register.readers == 2


def test_a_refused_reader_leaves_nothing_behind() -> None:
    register = Plain(most=0)

    with pytest.raises(TooManySubscriptions):
        register.subscribe("s")

    assert (register.subscriptions, register.accounts(), register.offered_to) == (0, [], [])


def test_what_an_ended_subscription_held_is_counted_and_stays_in_the_books() -> None:
    register = Plain()
    reader = register.subscribe()
    reader.subscription.offer(b"x", 4, 0)

    reader.leave([])

    (account,) = register.accounts()
    assert (account.received, account.dropped["expired"], account.balance) == (4, 4, 0)


def test_closing_lets_readers_take_what_is_held() -> None:
    register = Plain()
    reader = register.subscribe()
    reader.subscription.offer(b"x", 1, 0)

    register.close()

    assert reader.diode.take(99) == [Parcel(b"x", 1)]


def test_a_named_subscription_lingers_and_is_then_counted_as_expired() -> None:
    router = make_router(linger_s=30)
    subscribe(router, logs(), shard="s").leave([])
    route(router, log())

    router.expire(now=100)
    router.expire(now=129)
    assert router.subscriptions == 1
    router.expire(now=130)

    assert router.subscriptions == 0
    assert router.accounts()[0].dropped == {"overflow": 0, "expired": 1}


def test_a_reader_that_comes_back_within_the_linger_stops_the_clock() -> None:
    router = make_router(linger_s=30)
    subscribe(router, logs(), shard="s").leave([])
    router.expire(now=100)
    reader = subscribe(router, logs(), shard="s")
    router.expire(now=200)

    route(router, log())

    assert read(reader) == [log()]


def test_an_unnamed_subscription_ends_with_its_reader_and_its_books_stay() -> None:
    router = make_router()
    reader = subscribe(router, logs())
    route(router, log())

    reader.leave([])

    assert router.subscriptions == 0
    (account,) = router.accounts()
    assert (account.received, account.dropped["expired"], account.balance) == (1, 1, 0)


def test_one_subscription_too_many_is_refused() -> None:
    router = make_router(max_subscriptions=1)
    subscribe(router, logs())

    with pytest.raises(TooManySubscriptions, match="at most 1"):
        subscribe(router, logs())


def test_the_books_of_old_subscriptions_are_added_up_and_never_lost() -> None:
    router = make_router()
    for _ in range(250):
        reader = subscribe(router, logs())
        route(router, log())
        reader.leave([])

    accounts = router.accounts()

    assert len(accounts) <= 101
    assert sum(account.received for account in accounts) == 250
