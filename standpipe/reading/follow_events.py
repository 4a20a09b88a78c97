"""Read what an event store holds that a query finds, and then what comes: nothing twice, through lost connections too.

What came while there was no connection is asked for afterwards; what the store could not send in time is told.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
import trio

from plumbing.grpc_client import Backoff
from standpipe.errors import NotRunning
from standpipe.reading.event_store import NAME, EventStore, open_event_store
from standpipe.reading.https_client import ServerError, ServerUnavailable, making_sense
from standpipe.reading.server_sent_events import Event
from standpipe.reading.show_events import parse_answer
from standpipe.system import System
from standpipe.units import count_text

FIRST_WAIT_S = 0.5
MOST_WAIT_S = 30.0
MOST_MISSED = 10_000
"""Events that are asked for after a lost connection."""


@dataclass(slots=True)
class Place:
    """How far the events were read."""

    seq: int = -1
    time: str = ""
    """Of the newest."""


async def follow(
    find: Callable[[], System], query: str, first: int, notice: Callable[[str], None], rng: random.Random
) -> AsyncGenerator[Sequence[dict[str, Any]], None]:
    """Yield the newest `first` events that a filter finds, then what comes, for ever.

    A lost connection is followed by another, with a notice. Raises the `ServerError` that has no hope of being better
    the next time.
    """
    backoff = Backoff(rng, first_s=FIRST_WAIT_S, most_s=MOST_WAIT_S)
    place, noticed = Place(), False
    while True:
        try:
            async with open_event_store(_found(find)) as store, aclosing(store.tail(query)) as arrivals:
                async for event in arrivals:
                    noticed = False
                    backoff.reset()
                    fresh = await _heard(store, query, first, event, place, notice)
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
    store: EventStore, query: str, first: int, event: Event | None, place: Place, notice: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return what is new: of the store, when the tail has just been opened; else what came."""
    if event is None:
        return await _held(store, query, first, place)
    with making_sense():
        said = orjson.loads(event.data)
        if event.name == "dropped":
            notice(f"{count_text(int(said['count']))} events came faster than they were read, and are not shown")
        return _fresh([said], place) if event.name == "event" else []


async def _held(store: EventStore, query: str, first: int, place: Place) -> list[dict[str, Any]]:
    if place.time:
        form = {"query": query, "start": place.time, "end": "now", "limit": str(MOST_MISSED)}
    elif first:
        form = {"query": query, "limit": str(first)}
    else:
        return []
    found = await store.ask("/api/query", form, lambda *_: None)
    with making_sense():
        return _fresh(parse_answer(found).events, place)


def _fresh(events: Sequence[dict[str, Any]], place: Place) -> list[dict[str, Any]]:
    """Leave out what was seen, and move on."""
    fresh = [event for event in events if int(event["seq"]) > place.seq]
    for event in fresh:
        place.seq, place.time = max(place.seq, int(event["seq"])), max(place.time, str(event["time"]))
    return fresh


def _found(find: Callable[[], System]) -> System:
    """Look again where it is: a system that was started anew may listen elsewhere."""
    try:
        system = find()
        system.address(NAME)
    except NotRunning as error:
        raise ServerUnavailable(str(error)) from error
    return system
