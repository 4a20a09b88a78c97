"""The open subscriptions of one wire: shared, kept while they linger, ended, and always counted. No I/O, no clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from doppler.subscription import Reader, Subscription
from plumbing.ledger import Account, total

_REMEMBERED = 100  # closed subscriptions whose own account is still shown


class TooManySubscriptions(ValueError):
    """No more subscriptions are taken."""


class Places:
    """How many subscriptions may be open at once, on all wires together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    def take(self) -> None:
        """Take one; raises `TooManySubscriptions` when there is none left."""
        if self.taken >= self._most:
            raise TooManySubscriptions(f"at most {self._most} subscriptions are taken")
        self.taken += 1

    def free(self) -> None:
        """Give one back."""
        self.taken -= 1


class Register(ABC):
    """Subscriptions by key: readers with the same key share one. A router says what is routed to them."""

    def __init__(self, places: Places, linger_s: float) -> None:
        self.places = places
        self._linger_s = linger_s
        self._by_key: dict[object, Subscription] = {}
        self._closed: list[Account] = []
        self._opened = 0

    def expire(self, now: float) -> None:
        """End the subscriptions that nobody came back to; call it now and then, `now` in seconds of any clock."""
        for key, subscription in list(self._by_key.items()):
            if subscription.readers:
                continue
            if subscription.expires_at is None:
                subscription.expires_at = now + self._linger_s
            elif now >= subscription.expires_at:
                self._end(key)

    def close(self) -> None:
        """Let every reader take what is held for it and see the end."""
        for subscription in self._by_key.values():
            subscription.close()

    def accounts(self) -> list[Account]:
        """Show the books of the open subscriptions and of the last closed ones."""
        # A copy first: metrics are read from another thread.
        return [subscription.account() for subscription in list(self._by_key.values())] + self._closed

    @property
    def readers(self) -> int:
        """Open streams."""
        return sum(len(subscription.readers) for subscription in list(self._by_key.values()))

    @property
    def subscriptions(self) -> int:
        """Subscriptions, lingering ones included."""
        return len(self._by_key)

    def _join(self, key: object, open_new: Callable[[], Subscription], deterministic_name: str = "") -> Reader:
        """Open a reader of the subscription with this key, opened anew if there is none."""
        subscription = self._by_key.get(key)
        if subscription is None:
            self.places.take()
            self._opened += 1
            self._by_key[key] = subscription = open_new()
        subscription.expires_at = None
        return subscription.join(lambda reader: self._left(key, reader), deterministic_name)

    @abstractmethod
    def _ended(self, subscription: Subscription) -> None:
        """Offer it nothing any more."""

    def _left(self, key: object, reader: Reader) -> None:
        subscription = reader.subscription
        if not subscription.readers and not subscription.lingers:
            self._end(key)

    def _end(self, key: object) -> None:
        subscription = self._by_key.pop(key, None)
        if subscription is None:
            return
        self.places.free()
        self._ended(subscription)
        subscription.expire()
        self._closed.append(subscription.account())
        if len(self._closed) > _REMEMBERED:
            self._closed[:2] = [total("closed earlier", "subscription", self._closed[:2])]
