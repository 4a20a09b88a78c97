"""One live tail on its way to its client: server-sent events, heartbeats, and an end when its token is no longer good.

Out:   `event: event` with an event as JSON; `event: dropped` with how many were not sent; ids, to go on from there.
Drops: nothing here; `tails.py` holds what the client does not take.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson
import trio

from event_store.http.config import HttpSettings
from event_store.http.missed import Missed
from event_store.http.tails import News, Tail
from plumbing.http.exchange import Exchange
from plumbing.http.sse import EventStream, Pace, comment, event

_AT_ONCE_BYTES = 256 << 10
_GRACE_S = 60.0  # for what is being written when the token is to be looked at


async def begin(exchange: Exchange, missed: Missed) -> EventStream:
    """Open the stream, with what comes before the tail. Raises `ClientGone`."""
    events = EventStream(exchange.connection, exchange.send)
    await events.begin()
    await events.put(written(News(missed.dropped, missed.events)) + _here(missed.end))
    return events


async def stream(
    exchange: Exchange,
    events: EventStream,
    tail: Tail,
    settings: HttpSettings,
    still_good: Callable[[], Awaitable[bool]],
) -> None:
    """Write until the client leaves, or its token is no longer good. Raises `ClientGone`."""
    while not tail.is_over and await still_good():
        exchange.connection.lasts(settings.token_check_s + _GRACE_S)
        await _follow(events, tail, Pace(settings.heartbeat_s, settings.token_check_s))
    await events.put(b"", last=True)


async def _follow(events: EventStream, tail: Tail, pace: Pace) -> None:
    while not (pace.is_over or tail.is_over):
        news = None
        with trio.move_on_at(pace.wakes_at):
            news = await tail.next(_AT_ONCE_BYTES)
        if news is not None and (news.events or news.dropped):
            await events.put(written(news))
            pace.wrote()
        elif pace.is_due:
            await events.put(_here(tail.here))
            pace.wrote()


def written(news: News) -> bytes:
    """Write what is new: what was lost is older than what was not."""
    lost = [event(orjson.dumps({"count": news.dropped}), name="dropped")] if news.dropped else []
    return b"".join([*lost, *news.events])


def _here(place: int) -> bytes:
    """Write that all is well, and that everything before that place was sent, or was not for this client."""
    return comment("heartbeat") + event(place=str(place))
