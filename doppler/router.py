"""Decide which subscriptions a batch is for (loggregator.md 2.2). No I/O, no clock.

A batch that a subscription wants whole passes as the very bytes that came in. Only a selector by source or by
name makes the router look at single envelopes.

Hot path: `benchmarks/pipeline.py`, row "doppler".
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from doppler.subscription import DeterministicSubscription, Reader, Subscription
from envelope import kernel
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from envelope.selectors import Interest, Request, name_hash
from plumbing.diode import SharedDiode
from plumbing.ledger import Account, total

_REMEMBERED = 100  # closed subscriptions whose own account is still shown


class TooManySubscriptions(ValueError):
    """No more subscriptions are taken."""


@dataclass(slots=True)
class Route:
    """Who shares the envelopes of some kinds: one subscription, or those of one shard."""

    kinds: int
    subscriptions: tuple[Subscription, ...]

    def choose(self, rng: random.Random) -> Subscription:
        """Pick whose turn it is: at random, as often as it has readers."""
        if len(self.subscriptions) == 1:
            return self.subscriptions[0]
        weights = [len(subscription.readers) for subscription in self.subscriptions]
        return rng.choices(self.subscriptions, weights if any(weights) else None)[0]


@dataclass(slots=True)
class Table:
    """The routes of all requests that want their tags in the same form."""

    any_source: list[Route] = field(default_factory=list)
    by_source: dict[bytes, list[Route]] = field(default_factory=dict)
    by_name: dict[tuple[bytes | None, Kind, int], list[Route]] = field(default_factory=dict)


class Router:
    """All subscriptions of one doppler."""

    def __init__(
        self,
        make_diode: Callable[[], SharedDiode],
        *,
        linger_s: float,
        max_subscriptions: int,
        now_ns: Callable[[], int],
        rng: random.Random,
    ) -> None:
        self._make_diode = make_diode
        self._linger_s = linger_s
        self._max_subscriptions = max_subscriptions
        self._now_ns = now_ns
        self._rng = rng
        self._subscriptions: dict[object, Subscription] = {}
        self._tables: dict[bool, Table] = {}
        self._closed: list[Account] = []
        self._opened = 0
        self.routed = 0

    def route(self, batch: bytes, count: int, kinds: int) -> None:
        """Offer an admitted batch to everyone who asked for something in it."""
        self.routed += count
        for preferred, table in self._tables.items():
            converged = kernel.converge(batch, preferred)
            for route in table.any_source:
                if kinds & route.kinds:
                    self._offer(route, converged, count, kinds)
            if table.by_source:
                parts = kernel.split(converged, table.by_source)
                for source, (part, part_count, part_kinds) in parts.items():
                    for route in table.by_source[source]:
                        if part_kinds & route.kinds:
                            self._offer(route, part, part_count, part_kinds)
            if table.by_name and kinds & (Kind.COUNTER | Kind.GAUGE):
                self._route_by_name(table, converged)

    def subscribe(self, request: Request) -> Reader:
        """Open a reader, of a subscription there is already if it is named and asks for the same.

        Raises `TooManySubscriptions` at the limit.
        """
        key = _key(request) if request.shard_id else object()
        subscription = self._subscriptions.get(key)
        if subscription is None:
            if len(self._subscriptions) >= self._max_subscriptions:
                raise TooManySubscriptions(f"at most {self._max_subscriptions} subscriptions are taken")
            subscription = self._open(request)
            self._subscriptions[key] = subscription
            self._rebuild()
        subscription.expires_at = None
        return subscription.join(lambda reader: self._left(key, reader), request.deterministic_name)

    def expire(self, now: float) -> None:
        """End the subscriptions that nobody came back to; call it now and then, `now` in seconds of any clock."""
        for key, subscription in list(self._subscriptions.items()):
            if subscription.readers:
                continue
            if subscription.expires_at is None:
                subscription.expires_at = now + self._linger_s
            elif now >= subscription.expires_at:
                self._end(key)

    def close(self) -> None:
        """Let every reader take what is held for it and see the end."""
        for subscription in self._subscriptions.values():
            subscription.close()

    def accounts(self) -> list[Account]:
        """Show the books of the open subscriptions and of the last closed ones."""
        # A copy first: metrics are read from another thread.
        return [subscription.account() for subscription in list(self._subscriptions.values())] + self._closed

    @property
    def readers(self) -> int:
        """Open streams."""
        return sum(len(subscription.readers) for subscription in list(self._subscriptions.values()))

    @property
    def subscriptions(self) -> int:
        """Subscriptions, lingering ones included."""
        return len(self._subscriptions)

    def _offer(self, route: Route, batch: bytes, count: int, kinds: int) -> None:
        if kinds & ~route.kinds:
            batch, count = kernel.select(batch, route.kinds)
            kinds &= route.kinds
        route.choose(self._rng).offer(batch, count, kinds)

    def _route_by_name(self, table: Table, batch: bytes) -> None:
        matches: dict[int, tuple[Route, list[bytes], Kind]] = {}
        for start, end, kind_bit, source, _ in kernel.spans(batch):
            kind = Kind(kind_bit)
            if kind not in (Kind.COUNTER, Kind.GAUGE):
                continue
            piece = batch[start:end]
            named = name_hash(EnvelopeBatch.FromString(piece).batch[0])
            for key in ((None, kind, named), (source, kind, named)):
                for route in table.by_name.get(key, ()):
                    matches.setdefault(id(route), (route, [], kind))[1].append(piece)
        for route, pieces, kind in matches.values():
            route.choose(self._rng).offer(b"".join(pieces), len(pieces), kind)

    def _open(self, request: Request) -> Subscription:
        self._opened += 1
        name = request.shard_id or f"unnamed-{self._opened}"
        if request.deterministic_name:
            return DeterministicSubscription(name, request, self._make_diode, self._now_ns, self._rng)
        return Subscription(name, request, self._make_diode, self._now_ns)

    def _left(self, key: object, reader: Reader) -> None:
        subscription = reader.subscription
        if not subscription.readers and not subscription.lingers:
            self._end(key)

    def _end(self, key: object) -> None:
        subscription = self._subscriptions.pop(key, None)
        if subscription is None:
            return
        subscription.expire()
        self._closed.append(subscription.account())
        if len(self._closed) > _REMEMBERED:
            self._closed[:2] = [total("closed earlier", "subscription", self._closed[:2])]
        self._rebuild()

    def _rebuild(self) -> None:
        self._tables = {}
        for preferred in (False, True):
            wanted = [s for s in self._subscriptions.values() if s.request.preferred_tags is preferred]
            if wanted:
                self._tables[preferred] = _table(wanted)


def _key(request: Request) -> object:
    interests = tuple(sorted(request.interests, key=repr))
    return (request.shard_id, interests, request.preferred_tags, bool(request.deterministic_name))


def _table(subscriptions: Iterable[Subscription]) -> Table:
    """Group interests by who shares them, so that a reader of many kinds is one route and gets batches whole."""
    sharing: dict[tuple[Interest, object], list[Subscription]] = {}
    for subscription in subscriptions:
        for occurrence, interest in enumerate(subscription.request.interests):
            seen_before = subscription.request.interests[:occurrence].count(interest)
            shard: object = subscription.request.shard_id or (id(subscription), seen_before)
            members = sharing.setdefault((interest, shard), [])
            if subscription not in members:
                members.append(subscription)
    routes: dict[object, Route] = {}
    table = Table()
    for (interest, shard), members in sharing.items():
        same = (interest.source, interest.name_hash, shard, tuple(id(member) for member in members))
        if same in routes and interest.name_hash is None:
            routes[same].kinds |= interest.kind
            continue
        route = routes[same] = Route(int(interest.kind), tuple(members))
        if interest.name_hash is not None:
            table.by_name.setdefault((interest.source, interest.kind, interest.name_hash), []).append(route)
        elif interest.source is not None:
            table.by_source.setdefault(interest.source, []).append(route)
        else:
            table.any_source.append(route)
    return table
