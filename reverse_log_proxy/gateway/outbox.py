"""Make numbered events of what arrives for one session, and keep its books. No I/O, no clock.

Drops: nothing that a Doppler of ours sent: what was not written when the session ends stays with it. `unread`: what was
       not written of an original Doppler, which keeps nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import structlog

from envelope import kernel
from envelope.errors import DecodeError
from plumbing.egress_client import Arrival
from plumbing.ledger import Account
from reverse_log_proxy.gateway.history import Event, History
from reverse_log_proxy.reader import readable

log = structlog.get_logger(__name__)

JOIN_BYTES = 64 << 10
"""What waits is joined to one event up to here; a single message may be larger."""

Confirm = Callable[[Sequence[Arrival]], None]


@dataclass(frozen=True, slots=True)
class _Part:
    """What one arrival gives to an event. An empty one is confirmed in its turn: Dopplers count their messages."""

    arrival: Arrival
    batch: bytes
    envelopes: int


@dataclass(slots=True)
class _Counts:
    arrived: int = 0
    delivered: int = 0
    skipped: int = 0
    held: int = 0
    returned: int = 0
    unread: int = 0
    outside: int = 0


class Outbox:
    """What arrived and has to be written, and what was written and may have to be again."""

    def __init__(self, name: str, confirm: Confirm, resume_bytes: int) -> None:
        self.name = name
        self._confirm = confirm
        self._history = History(resume_bytes)
        self._waiting: deque[_Part] = deque()
        self._in_doubt: Sequence[_Part] = ()  # made into the newest event, which was not written to its end
        self._counts = _Counts()

    def put(self, arrival: Arrival) -> None:
        """Take one message of a Doppler; it is confirmed when what was made of it is written."""
        batch, envelopes, malformed = readable(arrival.batch, True)
        if malformed:
            log.warning("malformed_envelopes_skipped", count=malformed, size=len(arrival.batch))
        self._counts.arrived += envelopes + malformed
        self._counts.skipped += malformed
        self._counts.held += envelopes
        self._counts.outside += 0 if arrival.is_kept else envelopes + malformed
        self._waiting.append(_Part(arrival, batch, envelopes))

    def next(self) -> Event | None:
        """Show the event to write now, with its JSON; it stays the next until it was `written`."""
        event = self._history.next()
        while event is None and self._waiting:
            event = self._form()
        if event is not None and event.json is None:
            event.json = kernel.json_batch(event.batch)
        return event

    def written(self, event: Event) -> None:
        """The event that `next` showed has gone to the client."""
        event.json = None
        self._delivered(event)
        self._history.written()

    def resume_after(self, number: int) -> bool:
        """Continue behind event `number`, which the client has; false when what came after it is not held."""
        had = self._history.rewind(number)
        for event in had or ():
            self._delivered(event)
        return had is not None

    def close(self) -> None:
        """Leave what was not written to the Dopplers."""
        for part in (*self._in_doubt, *self._waiting):
            if part.arrival.is_kept:
                self._counts.returned += part.envelopes
            else:
                self._counts.unread += part.envelopes
        self._in_doubt = ()
        self._waiting.clear()
        self._counts.held = 0

    def account(self) -> Account:
        """Show the books; what stayed with the Dopplers is in theirs. They balance on the thread that writes."""
        counts = self._counts
        return Account(
            account=self.name,
            kind="reader",
            received=counts.arrived - counts.returned,
            delivered=counts.delivered,
            dropped={"unread": counts.unread},
            skipped=counts.skipped,
            held=counts.held,
            in_flight=_envelopes(self._in_doubt),
            returned=counts.returned,
            outside=counts.outside,
        )

    def _form(self) -> Event | None:
        """Make an event of what waits; None when there was nothing to say in it."""
        taken, size = 0, 0
        for part in self._waiting:
            size += len(part.batch)
            if taken and size > JOIN_BYTES:
                break
            taken += 1
        try:
            return self._join(taken)
        except DecodeError:
            return self._join_first()

    def _join_first(self) -> Event | None:
        try:
            return self._join(1)
        except DecodeError as error:
            part = self._waiting.popleft()
            log.warning("batch_without_json_skipped", count=part.envelopes, size=len(part.batch), error=str(error))
            self._counts.held -= part.envelopes
            self._counts.skipped += part.envelopes
            self._confirm([part.arrival])
            return None

    def _join(self, count: int) -> Event | None:
        parts = list(islice(self._waiting, count))
        batch = b"".join([part.batch for part in parts])
        json = kernel.json_batch(batch)
        for _ in parts:
            self._waiting.popleft()
        self._counts.held -= _envelopes(parts)
        self._in_doubt = parts
        if batch:
            return self._history.add(batch, json)
        self._settle()
        return None

    def _delivered(self, event: Event) -> None:
        """The client has it; of those before the newest, the Dopplers know already."""
        if event.number == self._history.newest:
            self._settle()

    def _settle(self) -> None:
        if self._in_doubt:
            self._confirm([part.arrival for part in self._in_doubt])
            self._counts.delivered += _envelopes(self._in_doubt)
            self._in_doubt = ()


def _envelopes(parts: Iterable[_Part]) -> int:
    return sum(part.envelopes for part in parts)
