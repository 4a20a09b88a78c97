"""Decide which subscriptions a batch is for (loggregator.md 2.2). No I/O, no clock.

A batch that a subscription wants whole passes as the very bytes that came in. Only a selector by source or by
name makes the router look at single envelopes.

Hot path: `benchmarks/pipeline.py`, row "doppler".
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

from doppler.register import Places, Register
from doppler.subscription import DeterministicSubscription, Reader, Subscription
from envelope import kernel
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from envelope.selectors import Interest, Request, name_hash
from plumbing.diode import SharedDiode

K = TypeVar("K")
V = TypeVar("V")
Named: TypeAlias = tuple[Kind, int]
"""A kind and the hash of a name."""


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


class Table:
    """The routes of all requests."""

    def __init__(self) -> None:
        self.any_source: list[Route] = []
        self.by_source: dict[bytes, list[Route]] = {}
        self.by_name: dict[bytes | None, dict[Named, list[Route]]] = {}
        self._interested: dict[bytes | None, dict[Subscription, list[Interest]]] = {}

    def add(self, subscription: Subscription) -> None:
        """Route to `subscription` too; sources that it does not name are not looked at."""
        interests: dict[bytes | None, list[Interest]] = {}
        for interest in subscription.request.interests:
            interests.setdefault(interest.source, []).append(interest)
        for source, of_source in interests.items():
            self._interested.setdefault(source, {})[subscription] = of_source
            self._reroute(source)

    def remove(self, subscription: Subscription) -> None:
        """Route nothing to `subscription` any more."""
        for source in {interest.source for interest in subscription.request.interests}:
            del self._interested[source][subscription]
            self._reroute(source)

    def _reroute(self, source: bytes | None) -> None:
        routes, named = _routes(self._interested[source])
        if source is None:
            self.any_source = routes
        else:
            _set(self.by_source, source, routes)
        _set(self.by_name, source, named)
        _set(self._interested, source, self._interested[source])


class _Forms:
    """A batch with its tags in either form, each made when it is first wanted: those of one shard may differ in it."""

    __slots__ = ("_batch", "_made")

    def __init__(self, batch: bytes) -> None:
        self._batch = batch
        self._made: dict[bool, bytes] = {}

    def wanted_by(self, subscription: Subscription) -> bytes:
        preferred = subscription.request.preferred_tags
        if (made := self._made.get(preferred)) is None:
            made = self._made[preferred] = kernel.converge(self._batch, preferred)
        return made


class Router(Register):
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
        super().__init__(Places(max_subscriptions), linger_s)
        self._make_diode = make_diode
        self._now_ns = now_ns
        self._rng = rng
        self._table = Table()

    def route(self, batch: bytes, count: int, kinds: int) -> None:
        """Offer an admitted batch to everyone who asked for something in it."""
        table = self._table
        if table.any_source:
            whole = _Forms(batch)
            for route in table.any_source:
                if kinds & route.kinds:
                    self._offer(route, whole, count, kinds)
        if table.by_source:
            for source, (part, part_count, part_kinds) in kernel.split(batch, table.by_source).items():
                forms = _Forms(part)
                for route in table.by_source[source]:
                    if part_kinds & route.kinds:
                        self._offer(route, forms, part_count, part_kinds)
        if table.by_name and kinds & (Kind.COUNTER | Kind.GAUGE):
            self._route_by_name(table, batch)

    def subscribe(self, request: Request) -> Reader:
        """Open a reader, of a subscription there is already if it is named and asks for the same.

        Raises `TooManySubscriptions` at the limit.
        """
        key = _key(request) if request.shard_id else object()
        return self._join(key, partial(self._open, request), request.deterministic_name)

    def change(self, reader: Reader, request: Request) -> None:
        """Let an open reader ask for something else; what it is owed already stays owed to it.

        Raises `ValueError` for a subscription with a name: others may share it, and know it by what it asks for.
        """
        subscription = reader.subscription
        if subscription.request.shard_id or request.shard_id:
            raise ValueError("the request of a shared subscription cannot change")
        self._table.remove(subscription)
        subscription.request = request
        self._table.add(subscription)

    @property
    def selected_sources(self) -> int:
        """Sources that some subscription asks for by name."""
        return len(self._table.by_source)

    def _offer(self, route: Route, forms: _Forms, count: int, kinds: int) -> None:
        subscription = route.choose(self._rng)
        batch = forms.wanted_by(subscription)
        if kinds & ~route.kinds:
            batch, count = kernel.select(batch, route.kinds)
            kinds &= route.kinds
        subscription.offer(batch, count, kinds)

    def _route_by_name(self, table: Table, batch: bytes) -> None:
        matches: dict[int, tuple[Route, list[bytes], Kind]] = {}
        for start, end, kind_bit, source, _ in kernel.spans(batch):
            kind = Kind(kind_bit)
            if kind not in (Kind.COUNTER, Kind.GAUGE):
                continue
            piece = batch[start:end]
            named = name_hash(EnvelopeBatch.FromString(piece).batch[0])
            for by_name in filter(None, (table.by_name.get(None), table.by_name.get(source))):
                for route in by_name.get((kind, named), ()):
                    matches.setdefault(id(route), (route, [], kind))[1].append(piece)
        for route, pieces, kind in matches.values():
            self._offer(route, _Forms(b"".join(pieces)), len(pieces), kind)

    def _open(self, request: Request) -> Subscription:
        name = request.shard_id or f"unnamed-{self._opened}"
        subscription = Subscription(name, request, self._make_diode, self._now_ns)
        if request.deterministic_name:
            subscription = DeterministicSubscription(name, request, self._make_diode, self._now_ns, self._rng)
        self._table.add(subscription)
        return subscription

    def _ended(self, subscription: Subscription) -> None:
        self._table.remove(subscription)


def _key(request: Request) -> object:
    interests = tuple(sorted(request.interests, key=repr))
    return (request.shard_id, interests, request.preferred_tags, bool(request.deterministic_name))


def _routes(interested: Mapping[Subscription, Iterable[Interest]]) -> tuple[list[Route], dict[Named, list[Route]]]:
    """Group interests in one source by who shares them, so that a reader of many kinds is one route."""
    sharing: dict[tuple[Interest, object], list[Subscription]] = {}
    for subscription, interests in interested.items():
        seen: Counter[Interest] = Counter()
        for interest in interests:
            shard: object = subscription.request.shard_id or (subscription, seen[interest])
            seen[interest] += 1
            members = sharing.setdefault((interest, shard), [])
            if subscription not in members:
                members.append(subscription)
    routes: dict[object, Route] = {}
    named: dict[Named, list[Route]] = {}
    for (interest, shard), members in sharing.items():
        if interest.name_hash is not None:
            route = Route(int(interest.kind), tuple(members))
            named.setdefault((interest.kind, interest.name_hash), []).append(route)
        elif (same := (shard, tuple(members))) in routes:
            routes[same].kinds |= interest.kind
        else:
            routes[same] = Route(int(interest.kind), tuple(members))
    return list(routes.values()), named


def _set(table: dict[K, V], key: K, value: V) -> None:
    """Keep no entry for nothing."""
    if value:
        table[key] = value
    else:
        table.pop(key, None)
