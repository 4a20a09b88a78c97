"""A live tail on its way: events, what was lost, heartbeats, and its end."""

import trio
import trio.testing

from event_store.http import tail as module
from event_store.http.config import HttpSettings
from event_store.http.tail import stream, written
from event_store.http.tails import News, Tail
from event_store.query.syntax import EVERYTHING
from plumbing.diode import Diode
from tests.unit.event_store.http.exchanges import Visit

SETTINGS = HttpSettings(heartbeat_s=10.0, token_check_s=25.0)


def a_tail() -> Tail:
    return Tail(EVERYTHING, Diode(10, 1000))


async def good() -> bool:
    return True


def test_what_was_lost_is_told_before_what_was_not() -> None:
    assert written(News(3, [b'{"a":1}', b"{}"])) == (
        b'event: dropped\ndata: {"count":3}\n\nevent: event\ndata: {"a":1}\n\nevent: event\ndata: {}\n\n'
    )
    assert written(News(0, [])) == b""


async def test_it_writes_what_comes_and_says_that_it_is_there(autojump_clock: trio.testing.MockClock) -> None:
    visit, tail = Visit("/api/tail"), a_tail()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream, visit.exchange, tail, SETTINGS, good)
        await trio.sleep(1)
        assert visit.headers["content-type"] == "text/event-stream"
        tail.put([b"1"], 2)
        await trio.sleep(1)
        tail.put([b"2"], 0)
        await trio.sleep(12)
        tail.end()
    assert visit.body == (
        b': heartbeat\n\nevent: dropped\ndata: {"count":2}\n\nevent: event\ndata: 1\n\n'
        b"event: event\ndata: 2\n\n: heartbeat\n\n"
    )
    assert visit.is_whole


async def test_it_ends_when_its_token_is_no_longer_good(autojump_clock: trio.testing.MockClock) -> None:
    visit, answers = Visit("/api/tail"), [True, True, False]
    began = trio.current_time()

    async def still_good() -> bool:
        return answers.pop(0)

    await stream(visit.exchange, a_tail(), SETTINGS, still_good)

    assert trio.current_time() - began == 50.0
    assert visit.is_whole
    assert visit.connection.seconds == 25.0 + module._GRACE_S
    assert visit.body.count(b": heartbeat") == 5
