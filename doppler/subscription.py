"""What readers are owed: one diode for all readers that share a request. No I/O, no clock.

Readers of one subscription pull from one diode and so share it about evenly, and whatever one of them did not
deliver goes to the next. A named subscription outlives its readers for a while (it lingers).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import ClassVar

from doppler.notice import Notice
from envelope import kernel
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from envelope.selectors import Request, name_hash
from plumbing.acks import Window
from plumbing.diode import Parcel, SharedDiode
from plumbing.ledger import Account

_NAMED_KINDS = Kind.COUNTER | Kind.GAUGE


class Subscription:
    """The account and the buffer of one request."""

    notice_form: ClassVar[type[Notice]] = Notice

    def __init__(
        self, name: str, request: Request, make_diode: Callable[[], SharedDiode], now_ns: Callable[[], int]
    ) -> None:
        self.name = name
        self.request = request
        self.readers: list[Reader] = []
        self.expires_at: float | None = None
        self.received = 0
        self.delivered = 0
        self.outside = 0
        self.returned = 0
        self.expired = 0
        self._make_diode = make_diode
        self._diode = make_diode()
        self._now_ns = now_ns
        self._told = 0
        self._unheard = 0

    @property
    def lingers(self) -> bool:
        """Whether it is kept when its last reader leaves: only named ones are."""
        return bool(self.request.shard_id)

    def offer(self, batch: bytes, count: int, kinds: int) -> None:  # noqa: ARG002 - named readers need the kinds
        """Owe these envelopes to the readers."""
        self.received += count
        self._diode.put(Parcel(batch, count))

    def join(self, left: Callable[[Reader], None], deterministic_name: str) -> Reader:
        """Add a reader; `left` is called when it is gone."""
        reader = Reader(self, self._diode, left, deterministic_name)
        self.readers.append(reader)
        return reader

    def remove(self, reader: Reader, undelivered: list[Parcel]) -> None:
        """Take a reader off and keep for the others what it did not deliver."""
        self.readers.remove(reader)
        self._diode.give_back(undelivered)

    def notice(self) -> Notice | None:
        """Make the envelope that tells the readers of drops they have not been told of; it is owed to them too."""
        missed = self.dropped - self._told
        if not missed:
            return None
        self._told += missed
        self.received += 1
        return self.notice_form.of(self.request.shard_id, missed, self._told, self._now_ns())

    def without_notices(self, undelivered: list[Parcel]) -> list[Parcel]:
        """Take notices out that did not arrive: what they told has still to be told, in a new one."""
        notices = [parcel for parcel in undelivered if isinstance(parcel, Notice)]
        self._told -= sum(notice.missed for notice in notices)
        self._unheard += len(notices)
        return [parcel for parcel in undelivered if not isinstance(parcel, Notice)]

    def expire(self) -> None:
        """Drop what is held: nobody came back for it."""
        self.expired += self._diode.clear()

    def close(self) -> None:
        """Let readers take what is held and then see the end."""
        self._diode.close()

    @property
    def dropped(self) -> int:
        """Envelopes lost because the readers were too slow, or for too long away."""
        return self._diode.dropped_total

    @property
    def held(self) -> int:
        """Envelopes waiting to be read."""
        return self._diode.held

    def account(self) -> Account:
        """Show the books."""
        return Account(
            account=self.name,
            kind="subscription",
            received=self.received,
            delivered=self.delivered,
            dropped={"overflow": self.dropped - self.expired, "expired": self.expired},
            skipped=self._unheard,
            held=self.held,
            in_flight=sum(reader.window.in_flight for reader in self.readers),
            returned=self.returned,
            outside=self.outside,
        )


class DeterministicSubscription(Subscription):
    """Readers with names: each counter and each gauge always goes to the same one of them (loggregator.md 2.2)."""

    def __init__(
        self,
        name: str,
        request: Request,
        make_diode: Callable[[], SharedDiode],
        now_ns: Callable[[], int],
        rng: random.Random,
    ) -> None:
        super().__init__(name, request, make_diode, now_ns)
        self._rng = rng
        self._lost_by_leavers = 0

    def offer(self, batch: bytes, count: int, kinds: int) -> None:
        """Owe logs, timers and events to a random reader, each counter and gauge to its own."""
        self.received += count
        self._distribute(batch, count, kinds)

    def join(self, left: Callable[[Reader], None], deterministic_name: str) -> Reader:
        """Add a reader with a diode of its own; a first one inherits what lingered."""
        diode = self._diode if not self.readers else self._make_diode()
        reader = Reader(self, diode, left, deterministic_name)
        self.readers.append(reader)
        self.readers.sort(key=lambda each: each.deterministic_name)
        return reader

    def remove(self, reader: Reader, undelivered: list[Parcel]) -> None:
        """Take a reader off; its envelopes go to those who are their readers now, or linger with the last."""
        self.readers.remove(reader)
        diode = reader.diode
        diode.give_back(undelivered)
        if not self.readers:
            return
        if self._diode is diode:
            self._diode = self.readers[0].diode
        self._lost_by_leavers += diode.dropped_total
        for parcel in diode.take(diode.held_bytes):
            self._distribute(parcel.batch, parcel.envelopes, Kind.ALL)

    @property
    def dropped(self) -> int:
        """Envelopes lost by the readers there are and by those there were."""
        return self._lost_by_leavers + sum(diode.dropped_total for diode in self._diodes())

    @property
    def held(self) -> int:
        """Envelopes waiting to be read."""
        return sum(diode.held for diode in self._diodes())

    def close(self) -> None:
        """Let every reader take what is held for it and then see the end."""
        for diode in self._diodes():
            diode.close()

    def _diodes(self) -> Sequence[SharedDiode]:
        return [reader.diode for reader in self.readers] or [self._diode]

    def _distribute(self, batch: bytes, count: int, kinds: int) -> None:
        if not self.readers:
            self._diode.put(Parcel(batch, count))
            return
        if kinds & _NAMED_KINDS:
            named, named_count = kernel.select(batch, _NAMED_KINDS)
            for envelope in EnvelopeBatch.FromString(named).batch:
                reader = self.readers[name_hash(envelope) % len(self.readers)]
                reader.diode.put(Parcel(EnvelopeBatch(batch=[envelope]).SerializeToString(), 1))
            batch, count = kernel.select(batch, Kind.ALL & ~_NAMED_KINDS) if named_count else (batch, count)
        if count:
            self._rng.choice(self.readers).diode.put(Parcel(batch, count))


class Reader:
    """One open stream of a subscription (what `plumbing.egress_server` asks of a reader)."""

    def __init__(
        self, subscription: Subscription, diode: SharedDiode, left: Callable[[Reader], None], deterministic_name: str
    ) -> None:
        self.diode = diode
        self.window = Window()
        self.deterministic_name = deterministic_name
        self._subscription = subscription
        self._left = left

    async def next(self, max_bytes: int) -> list[Parcel]:
        """Wait for parcels, a notice of what was dropped before them first; an empty list is the end."""
        parcels = await self.diode.next(max_bytes)
        if parcels and (notice := self._subscription.notice()):
            parcels.insert(0, notice)
        return parcels

    def delivered(self, envelopes: int) -> None:
        """Book what has arrived."""
        self._subscription.delivered += envelopes
        if not self.window.peer_acknowledges:
            self._subscription.outside += envelopes

    def leave(self, undelivered: list[Parcel]) -> None:
        """Give back what did not arrive, and be gone."""
        self._subscription.returned += sum(parcel.envelopes for parcel in undelivered)
        self._subscription.remove(self, self._subscription.without_notices(undelivered))
        self._left(self)

    @property
    def subscription(self) -> Subscription:
        """Whose reader this is."""
        return self._subscription
