"""A live tail on its way: events, what was lost, heartbeats, and its end."""

from collections.abc import Awaitable, Callable

import trio
import trio.testing

from event_store.http import tail as module
from event_store.http.config import HttpSettings
from event_store.http.missed import Missed
from event_store.http.tail import begin, stream, written
from event_store.http.tails import News, Tail
from event_store.query.syntax import EVERYTHING
from plumbing.diode import Diode
from plumbing.http.sse import event
from tests.unit.event_store.http.exchanges import Visit

SETTINGS = HttpSettings(heartbeat_s=10.0, token_check_s=25.0)


def a_tail() -> Tail:
    return Tail(EVERYTHING, Diode(10, 1000))


async def good() -> bool:
    return True


def said(place: int) -> bytes:
    return event(str(place).encode(), name="event", place=str(place))


async def whole_stream(visit: Visit, tail: Tail, missed: Missed, still_good: Callable[[], Awaitable[bool]]) -> None:
    exchange = visit.exchange
    await stream(exchange, await begin(exchange, missed), tail, SETTINGS, still_good)


def test_what_was_lost_is_told_before_what_was_not() -> None:
    said = [event(b'{"a":1}', name="event", place="7"), event(b"{}", name="event", place="8")]
    assert written(News(3, said)) == (
        b'event: dropped\ndata: {"count":3}\n\nid: 7\nevent: event\ndata: {"a":1}\n\nid: 8\nevent: event\ndata: {}\n\n'
    )
    assert written(News(0, [])) == b""


async def test_it_writes_what_comes_and_says_that_it_is_there(autojump_clock: trio.testing.MockClock) -> None:
    visit, tail = Visit("/api/tail"), a_tail()
    tail.begin(5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(whole_stream, visit, tail, Missed(5, [said(4)], 1), good)
        await trio.sleep(1)
        assert visit.headers["content-type"] == "text/event-stream"
        tail.put([said(5), said(6)], 2, 9)
        await trio.sleep(1)
        tail.put([said(10)], 0, 12)
        await trio.sleep(12)
        tail.end()
    assert visit.body == (
        b'event: dropped\ndata: {"count":1}\n\nid: 4\nevent: event\ndata: 4\n\n: heartbeat\n\nid: 5\n\n'
        b'event: dropped\ndata: {"count":2}\n\nid: 6\nevent: event\ndata: 6\n\n'
        b"id: 10\nevent: event\ndata: 10\n\n: heartbeat\n\nid: 12\n\n"
    )
    assert visit.is_whole


async def test_it_ends_when_its_token_is_no_longer_good(autojump_clock: trio.testing.MockClock) -> None:
    visit, answers = Visit("/api/tail"), [True, True, False]
    began_at = trio.current_time()

    async def still_good() -> bool:
        return answers.pop(0)

    await whole_stream(visit, a_tail(), Missed(0), still_good)

    assert trio.current_time() - began_at == 50.0
    assert visit.is_whole
    assert visit.connection.seconds == 25.0 + module._GRACE_S
    assert visit.body.count(b": heartbeat") == 5
