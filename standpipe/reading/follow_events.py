"""Read what an event store holds that a query finds, and then what comes: nothing twice, through lost connections too.

What came while there was no connection the store sends afterwards: it says with each event what to come back with. What
it could not send, then or in time, is told.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson
import trio

from plumbing.grpc_client import Backoff
from standpipe.errors import NotRunning
from standpipe.reading.event_store import NAME, EventStore, Place, open_event_store
from standpipe.reading.https_client import ServerError, ServerUnavailable, making_sense
from standpipe.reading.server_sent_events import Event
from standpipe.reading.show_events import parse_answer
from standpipe.system import System
from standpipe.units import count_text

FIRST_WAIT_S = 0.5
MOST_WAIT_S = 30.0


@dataclass(slots=True)
class _Held:
    """What the store held when it was asked first: the tail may bring some of it again."""

    is_known: bool = False
    seen: set[tuple[int, str]] = field(default_factory=set)

    def fresh(self, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave out what was seen."""
        return [event for event in events if _identity(event) not in self.seen]


async def follow(
    find: Callable[[], System], query: str, first: int, notice: Callable[[str], None], rng: random.Random
) -> AsyncGenerator[Sequence[dict[str, Any]], None]:
    """Yield the newest `first` events that a filter finds, then what comes, for ever.

    A lost connection is followed by another, with a notice. Raises the `ServerError` that has no hope of being better
    the next time.
    """
    backoff = Backoff(rng, first_s=FIRST_WAIT_S, most_s=MOST_WAIT_S)
    place, held, noticed = Place(), _Held(), False
    while True:
        try:
            async with open_event_store(_found(find)) as store, aclosing(store.tail(query, place)) as arrivals:
                async for event in arrivals:
                    noticed = False
                    backoff.reset()
                    fresh = await _heard(store, query, first, event, held, notice)
                    if fresh:
                        yield fresh
        except ServerError as error:
            if not error.retry:
                raise
            if not noticed:
                notice(f"{error}; connecting again")
            noticed = True
        await trio.sleep(backoff.next_s())


async def _heard(
    store: EventStore, query: str, first: int, event: Event | None, held: _Held, notice: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return what is new: of the store, when a tail has been opened for the first time; else what came."""
    if event is None:
        return [] if held.is_known else await _ask(store, query, first, held)
    with making_sense():
        said = orjson.loads(event.data)
        if event.name == "dropped":
            notice(f"{count_text(int(said['count']))} events were too many to be sent, and are not shown")
        return held.fresh([said]) if event.name == "event" else []


async def _ask(store: EventStore, query: str, first: int, held: _Held) -> list[dict[str, Any]]:
    events: Sequence[dict[str, Any]] = ()
    if first:
        found = await store.ask("/api/query", {"query": query, "limit": str(first)}, lambda *_: None)
        with making_sense():
            events = held.fresh(parse_answer(found).events)
            held.seen |= {_identity(event) for event in events}
    held.is_known = True
    return list(events)


def _identity(event: dict[str, Any]) -> tuple[int, str]:
    """Tell an event from others, those of a store that takes the place of this one too."""
    return int(event["seq"]), str(event["time"])


def _found(find: Callable[[], System]) -> System:
    """Look again where it is: a system that was started anew may listen elsewhere."""
    try:
        system = find()
        system.address(NAME)
    except NotRunning as error:
        raise ServerUnavailable(str(error)) from error
    return system
