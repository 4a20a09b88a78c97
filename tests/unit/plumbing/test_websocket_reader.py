"""Reading a stream over a connection: opening it, staying on it, leaving it, coming back to it."""

import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from plumbing import websocket_reader
from plumbing.tls import TlsFiles, client_context, server_context
from plumbing.websocket_conversation import StreamEnded, StreamError, StreamRefused, StreamUnavailable
from plumbing.websocket_reader import MOST_WAIT_S, SILENCE_S, ServerNotTrusted, Source, follow, read
from tests.fakes.firehose import (
    Serve,
    Servers,
    close,
    hang_on,
    messages,
    ping,
    receive_request,
    refuse,
    said_by_client,
    says,
)


@pytest.fixture
def source(certs_dir: Path) -> Source:
    return Source(
        host="127.0.0.1",
        port=1,
        server_name="trafficcontroller",
        tls=client_context(certs_dir / "ca.crt"),
        token="a-token",
        path="/firehose/f",
    )


@pytest.fixture
async def servers(monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery) -> Servers:
    servers = Servers(nursery)
    monkeypatch.setattr(websocket_reader, "_dial", servers.dial)
    return servers


async def _take(arrivals: Any, count: int) -> list[list[bytes]]:
    taken = []
    async with aclosing(arrivals):
        while len(taken) < count:
            taken.append(await anext(arrivals))
    return taken


# --- one stream -----------------------------------------------------------------------------------------------------


async def test_what_comes_with_the_agreement_is_not_lost(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    servers.scripts = [says(messages(b"first", b"second"), then=hang_on)]
    assert await _take(read(source), 2) == [[], [b"first", b"second"]]


async def test_the_first_list_is_empty_and_comes_once_the_stream_is_open(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    servers.scripts = [says(b"", then=hang_on)]
    assert await _take(read(source), 1) == [[]]


async def test_a_close_of_the_server_ends_the_stream_with_its_reason(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    servers.scripts = [says(messages(b"last") + close(1008, "slow consumer"), then=hang_on)]
    heard = []
    with pytest.raises(StreamEnded, match=r"slow consumer \(code 1008\)"):
        async for arrived in read(source):
            heard += arrived
    assert heard == [b"last"]


async def test_a_connection_that_is_cut_is_an_end_of_the_stream(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    servers.scripts = [says(b"")]
    with pytest.raises(StreamEnded, match="1006"):
        await _take(read(source), 2)


async def test_a_ping_is_answered_at_once(autojump_clock: MockClock, servers: Servers, source: Source) -> None:
    answers = []

    async def expect_pong(stream: trio.abc.Stream) -> None:
        answers.extend(said_by_client(await stream.receive_some()))
        await stream.send_all(messages(b"go on"))
        await hang_on(stream)

    servers.scripts = [says(ping(b"42"), then=expect_pong)]
    assert await _take(read(source), 2) == [[], [b"go on"]]
    assert [frame.data for frame in answers] == [b"42"]


async def test_leaving_says_goodbye(autojump_clock: MockClock, servers: Servers, source: Source) -> None:
    said = bytearray()

    async def listen(stream: trio.abc.Stream) -> None:
        said.extend(await stream.receive_some())

    servers.scripts = [says(b"", then=listen)]
    await _take(read(source), 1)
    await trio.testing.wait_all_tasks_blocked()
    assert said_by_client(bytes(said))[0].data == (1000).to_bytes(2)


async def test_leaving_does_not_wait_long_for_a_server_that_says_nothing(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    servers.scripts = [says(b"", then=lambda _: trio.sleep(1_000))]
    started = trio.current_time()
    await _take(read(source), 1)
    assert trio.current_time() - started <= websocket_reader.GOODBYE_S


async def test_a_silent_server_is_asked_for_a_sign_of_life(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    async def be_silent(stream: trio.abc.Stream) -> None:
        asked = said_by_client(await stream.receive_some())
        await stream.send_all(messages(asked[0].opcode.name.encode()))
        await hang_on(stream)

    servers.scripts = [says(b"", then=be_silent)]
    assert await _take(read(source), 2) == [[], [b"PING"]]
    assert trio.current_time() >= SILENCE_S


async def test_a_server_that_gives_no_sign_of_life_is_given_up(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    servers.scripts = [says(b"", then=hang_on)]
    with pytest.raises(StreamEnded, match="nothing heard for 60 s"):
        await _take(read(source), 2)


async def test_a_server_that_does_not_answer_is_given_up(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    servers.scripts = [lambda _: trio.sleep(1_000)]
    with pytest.raises(StreamUnavailable, match="no answer within 10 s"):
        await _take(read(source), 1)


# --- one stream after the other -------------------------------------------------------------------------------------


class Follower:
    """Follows a source, and collects the notices."""

    def __init__(self, source: Source, **how: Any) -> None:
        self.notices: list[str] = []
        self.arrivals = follow(lambda: source, self._lost, random.Random(1), **how)

    def _lost(self, error: StreamError) -> None:
        self.notices.append(str(error))


async def test_a_stream_that_ends_is_followed_by_another(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    servers.scripts = [says(messages(b"a") + close(1001, "going away")), says(messages(b"b"), then=hang_on)]
    follower = Follower(source)
    assert await _take(follower.arrivals, 4) == [[], [b"a"], [], [b"b"]]
    assert follower.notices == ["the stream ended: going away (code 1001)"]


async def test_a_first_attempt_that_fails_is_not_repeated(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    servers.scripts = [ConnectionRefusedError(111, "Connection refused")]
    with pytest.raises(StreamUnavailable, match="Connection refused"):
        await _take(Follower(source).arrivals, 1)


async def test_there_is_one_notice_however_often_it_takes_to_come_back(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    refusal = ConnectionRefusedError(111, "Connection refused")
    servers.scripts = [says(b""), *[refusal] * 10, says(b"", then=hang_on)]
    follower = Follower(source)
    await _take(follower.arrivals, 2)
    assert len(follower.notices) == 1


async def test_waiting_grows_to_half_a_minute_and_no_further(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    refusal = ConnectionRefusedError(111, "Connection refused")
    servers.scripts = [says(b""), *[refusal] * 12, says(b"", then=hang_on)]
    await _take(Follower(source).arrivals, 2)
    waits = [later - earlier for earlier, later in zip(servers.dialled_at, servers.dialled_at[1:], strict=False)]
    assert 0.25 <= waits[0] <= 0.5
    assert all(MOST_WAIT_S / 2 <= wait <= MOST_WAIT_S for wait in waits[7:])


async def test_a_stream_that_was_open_lets_the_waiting_begin_anew(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    refusal = ConnectionRefusedError(111, "Connection refused")
    servers.scripts = [says(b""), *[refusal] * 8, says(b""), says(b"", then=hang_on)]
    await _take(Follower(source).arrivals, 3)
    assert servers.dialled_at[-1] - servers.dialled_at[-2] <= 0.5


async def test_a_refusal_that_will_not_change_ends_it(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    async def revoked(stream: trio.abc.Stream) -> None:
        await receive_request(stream)
        await stream.send_all(refuse("401 Unauthorized", "You are not authorized. invalid authorization"))

    servers.scripts = [says(b""), revoked]
    with pytest.raises(StreamRefused, match="You are not authorized"):
        await _take(Follower(source).arrivals, 2)


async def test_a_server_that_is_full_for_a_while_does_not_end_it(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    async def full(stream: trio.abc.Stream) -> None:
        await receive_request(stream)
        await stream.send_all(refuse("503 Service Unavailable", "too many readers"))

    servers.scripts = [says(b""), full, says(b"", then=hang_on)]
    assert await _take(Follower(source).arrivals, 2) == [[], []]


async def test_who_insists_is_not_given_up_on_and_hears_each_new_reason(
    autojump_clock: MockClock, servers: Servers, source: Source
) -> None:
    async def refused(stream: trio.abc.Stream) -> None:
        await receive_request(stream)
        await stream.send_all(refuse("401 Unauthorized", "You are not authorized."))

    away = ConnectionRefusedError(111, "Connection refused")
    servers.scripts = [away, away, refused, refused, away, says(b""), says(b"", then=hang_on)]
    follower = Follower(source, insist=True)
    assert await _take(follower.arrivals, 2) == [[], []]
    assert follower.notices == [
        "Connection refused",
        "You are not authorized. (HTTP 401)",
        "Connection refused",
        "the stream ended: the connection was cut (code 1006)",
    ]


# --- real connections -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _listening(certs: Path, serve: Serve) -> AsyncIterator[int]:
    """Serve over TLS on a free port."""
    context = server_context(TlsFiles.named(certs, "trafficcontroller"), require_client_cert=False)

    async def serve_tls(stream: trio.SocketStream) -> None:
        try:
            await serve(trio.SSLStream(stream, context, server_side=True, https_compatible=True))
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve_tls, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def _at(source: Source, port: int, **changes: Any) -> Source:
    fields = {name: getattr(source, name) for name in source.__slots__}
    return Source(**{**fields, "port": port, **changes})


async def test_messages_come_over_tls(certs_dir: Path, source: Source) -> None:
    sent = [bytes([number % 256]) * 1_000 for number in range(1_000)]

    async def serve(stream: trio.abc.Stream) -> None:
        await says(messages(*sent[:1]), then=_rest)(stream)

    async def _rest(stream: trio.abc.Stream) -> None:
        await stream.send_all(messages(*sent[1:]) + close(1000))
        await hang_on(stream)

    heard: list[bytes] = []
    async with _listening(certs_dir, serve) as port:
        with trio.fail_after(10), pytest.raises(StreamEnded, match="1000"):
            async for arrived in read(_at(source, port)):
                heard += arrived
    assert heard == sent


async def test_a_server_of_another_authority_is_not_trusted(other_certs_dir: Path, source: Source) -> None:
    async with _listening(other_certs_dir, receive_request) as port:
        with trio.fail_after(10), pytest.raises(ServerNotTrusted, match="certificate"):
            await _take(read(_at(source, port)), 1)


async def test_a_server_of_another_name_is_not_trusted(certs_dir: Path, source: Source) -> None:
    async with _listening(certs_dir, receive_request) as port:
        with trio.fail_after(10), pytest.raises(ServerNotTrusted, match="not valid for 'elsewhere'"):
            await _take(read(_at(source, port, server_name="elsewhere")), 1)


async def test_a_server_without_tls_is_no_stream(source: Source) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        while await stream.receive_some():
            pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        with trio.fail_after(10), pytest.raises(StreamUnavailable, match="no TLS there"):
            await _take(read(_at(source, port)), 1)
        nursery.cancel_scope.cancel()


async def test_nobody_there_is_said_in_so_many_words(source: Source) -> None:
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        with pytest.raises(StreamUnavailable, match=r"^Connection refused$"):
            await _take(read(_at(source, unused.getsockname()[1])), 1)
