"""Server-sent events: their bytes, who still reads them, and when one is due."""

import pytest
import trio
import trio.testing

from plumbing.http.exchange import ClientGone
from plumbing.http.sse import HEADERS, EventStream, Pace, comment, event
from tests.unit.plumbing.http.visitor import Visitor


def test_an_event_is_lines_and_an_empty_one() -> None:
    assert event(b"{}") == b"data: {}\n\n"
    assert event(b"{}", place="7") == b"id: 7\ndata: {}\n\n"
    assert event(b"", name="end", place="7") == b"id: 7\nevent: end\ndata: \n\n"


def test_a_place_alone_has_no_data() -> None:
    assert event(place="7") == b"id: 7\n\n"


def test_a_comment_begins_with_a_colon() -> None:
    assert comment("heartbeat") == b": heartbeat\n\n"


def stream_to(visitor: Visitor) -> EventStream:
    return EventStream(visitor.connection, visitor.send)  # type: ignore[arg-type]  # a fake


async def test_a_stream_begins_and_ends() -> None:
    visitor = Visitor()
    stream = stream_to(visitor)

    await stream.begin()
    await stream.put(event(b"1"))
    await stream.put(b"", last=True)

    assert (visitor.status, visitor.headers) == (200, dict(HEADERS))
    assert [message["more_body"] for message in visitor.told[1:]] == [True, False]


async def test_who_writes_is_told_that_nobody_reads() -> None:
    visitor = Visitor()
    stream = stream_to(visitor)
    visitor.connection.cut()

    with pytest.raises(ClientGone):
        await stream.put(event(b"1"))
    await stream.put(b"", last=True)


async def test_a_heartbeat_is_due_when_nothing_was_written_for_a_while(autojump_clock: trio.testing.MockClock) -> None:
    began_at = trio.current_time()
    pace = Pace(heartbeat_s=10, timeout_s=25)
    beats: list[float] = []

    await trio.sleep(4)
    pace.wrote()
    while not pace.is_over:
        await trio.sleep_until(pace.wakes_at)
        if pace.is_due:
            beats.append(trio.current_time() - began_at)
            pace.wrote()

    assert beats == [pytest.approx(14), pytest.approx(24)]
    assert trio.current_time() - began_at == pytest.approx(25)
