"""What is written to one connection, and when."""

from typing import Any

import trio
import trio.testing

from reverse_log_proxy.gateway.stream import Stream, StreamCounts
from tests.fakes.http_connection import FakeConnection
from tests.unit.reverse_log_proxy.gateway.fakes import open_session


class Client:
    """A connection, and what was written to it with the time of writing."""

    def __init__(self) -> None:
        self.connection = FakeConnection()
        self.shutdown = trio.Event()
        self.counts = StreamCounts()
        self.messages: list[Any] = []
        self.written: list[tuple[float, bytes]] = []
        self.dies_of = b"never"
        self.stream = Stream(
            self.connection,  # type: ignore[arg-type]  # a fake
            self._send,
            self.counts,
            heartbeat_s=15,
            timeout_s=840,
            shutdown=self.shutdown,
            now=lambda: 1_700_000_000,
        )

    async def _send(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.messages.append(message)
        if body := message.get("body"):
            self.written.append((trio.current_time(), body))
            if self.dies_of in body:
                self.connection.cut()


async def test_the_headers_go_at_once(autojump_clock: trio.testing.MockClock) -> None:
    client, (session, _) = Client(), open_session()
    with trio.move_on_after(1):
        await client.stream.run(session)

    (start,) = client.messages
    assert start["status"] == 200
    assert dict(start["headers"]) == {
        b"content-type": b"text/event-stream",
        b"cache-control": b"no-cache",
        b"connection": b"keep-alive",
    }


async def test_what_arrives_is_written_with_its_id(autojump_clock: trio.testing.MockClock) -> None:
    client, (session, upstream) = Client(), open_session()
    upstream.put(b"1")
    with trio.move_on_after(1):
        await client.stream.run(session)

    ((_, body),) = client.written
    assert body.startswith(f'id: {session.id}-1\ndata: {{"batch":[{{'.encode())
    assert (client.counts.events, session.account().delivered) == (1, 1)


async def test_fifteen_seconds_without_data_are_a_heartbeat(autojump_clock: trio.testing.MockClock) -> None:
    client, (session, upstream) = Client(), open_session()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.stream.run, session)
        began_at = trio.current_time()
        await trio.sleep(10)
        upstream.put(b"1")
        await trio.sleep(31)
        nursery.cancel_scope.cancel()

    beats = [at - began_at for at, body in client.written if body == b"event: heartbeat\ndata: 1700000000\n\n"]
    assert beats == [25, 40]


async def test_after_its_time_a_stream_says_goodbye_and_ends(autojump_clock: trio.testing.MockClock) -> None:
    client, (session, _) = Client(), open_session()
    began_at = trio.current_time()

    await client.stream.run(session)

    assert trio.current_time() - began_at == 840
    assert client.written[-1][1] == b"event: closing\ndata: closing due to stream timeout\n\n"
    assert client.messages[-1]["more_body"] is False
    assert client.counts.open == 0


async def test_at_the_end_of_the_process_too(autojump_clock: trio.testing.MockClock) -> None:
    client, (session, _) = Client(), open_session()
    client.shutdown.set()

    await client.stream.run(session)

    assert [body for _, body in client.written] == [b"event: closing\ndata: closing due to shutdown\n\n"]


async def test_a_session_that_is_over_just_ends(autojump_clock: trio.testing.MockClock) -> None:
    client, (session, _) = Client(), open_session()
    session.end()

    await client.stream.run(session)

    assert client.written == []
    assert client.messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_what_broke_off_was_not_delivered(autojump_clock: trio.testing.MockClock) -> None:
    client, (session, upstream) = Client(), open_session()
    upstream.put(b"1")
    client.dies_of = b"data: "

    await client.stream.run(session)

    assert (session.account().delivered, session.account().in_flight) == (0, 1)
    assert upstream.confirmed == []


async def test_a_stream_that_is_cut_ends_at_once(autojump_clock: trio.testing.MockClock) -> None:
    client, (session, _) = Client(), open_session()
    began_at = trio.current_time()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.stream.run, session)
        await trio.sleep(1)
        client.stream.cut()

    assert trio.current_time() - began_at == 1
    assert not client.connection.is_open


async def test_a_first_word_comes_before_all_else(autojump_clock: trio.testing.MockClock) -> None:
    client, (session, upstream) = Client(), open_session()
    upstream.put(b"1")
    with trio.move_on_after(1):
        await client.stream.run(session, b": first\n\n")

    assert client.written[0][1] == b": first\n\n"
