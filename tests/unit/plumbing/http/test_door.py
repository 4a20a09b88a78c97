"""What is the same at every door: who is answered, what is counted and logged, and how it ends."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog.testing
import trio
import trio.testing
from starlette.responses import Response

from plumbing.http.door import HttpDoor, Manners, RequestCounts
from plumbing.http.exchange import ClientGone, Exchange
from plumbing.http.refusal import Refusal
from plumbing.http.server import Limits
from plumbing.tls import TlsFiles, client_context
from tests.unit.plumbing.http.visitor import Visitor

REFUSED = Refusal(404)


class Door(HttpDoor):
    """Answers as the test says."""

    def __init__(self, answer: Callable[[Exchange], Awaitable[None]], **manners: Any) -> None:
        self.counts = RequestCounts()
        self.stopped = trio.Event()
        fault = Refusal(500, b'{"error":"internal error"}')
        super().__init__(Manners(**{"name": "door", "shown": frozenset("a"), "fault": fault, **manners}), self.counts)
        self._respond = answer

    async def respond(self, exchange: Exchange) -> None:
        exchange.route = "route"
        await self._respond(exchange)

    def stop(self) -> None:
        self.stopped.set()


async def hello(exchange: Exchange) -> None:
    await exchange.answer(Response(b"hello"))


async def knock(door: Door, **request: Any) -> Visitor:
    visitor = Visitor(**request)
    await door(visitor.scope, visitor.receive, visitor.send)
    return visitor


def raising(error: Exception) -> Callable[[Exchange], Awaitable[None]]:
    async def respond(_: Exchange) -> None:
        raise error

    return respond


@pytest.mark.parametrize(("status", "level"), [(200, "debug"), (404, "info"), (503, "info")])
async def test_what_was_refused_has_its_line_in_the_log(status: int, level: str) -> None:
    with structlog.testing.capture_logs() as lines:
        await knock(Door(lambda exchange: exchange.answer(Response(b"", status))), query_string=b"a=1&b=2")

    (line,) = lines
    assert (line["event"], line["log_level"], line["status"]) == ("door_request", level, status)
    assert line["target"] == "/a/path?a=1"


async def test_successes_may_have_theirs_too() -> None:
    with structlog.testing.capture_logs() as lines:
        await knock(Door(hello, tells_successes=True))

    assert lines[0]["log_level"] == "info"


async def test_requests_are_counted_by_what_they_ask_for_and_how_it_went() -> None:
    counts = RequestCounts()
    counts.answers.update({("a", 200): 1, ("a", 204): 2, ("a", 404): 3, ("b", 404): 4, ("b", 503): 5, ("b", 0): 6})

    assert counts.requests == {("a", "2xx"): 3, ("a", "4xx"): 3, ("b", "4xx"): 4, ("b", "5xx"): 5, ("b", "gone"): 6}
    assert counts.refused == {404: 7, 503: 5}


async def test_a_refusal_that_is_raised_is_the_answer() -> None:
    door = Door(raising(REFUSED))

    assert (await knock(door)).status == 404
    assert door.counts.answers == {("route", 404): 1}


async def test_a_refusal_that_is_raised_again_and_again_holds_nothing_of_its_requests() -> None:
    door = Door(raising(REFUSED))
    for _ in range(3):
        await knock(door)

    assert REFUSED.__traceback__ is None


async def test_a_fault_of_ours_is_an_answer_without_its_words() -> None:
    with structlog.testing.capture_logs() as lines:
        visitor = await knock(Door(raising(RuntimeError("a secret"))))

    assert (visitor.status, visitor.told[1]["body"]) == (500, b'{"error":"internal error"}')
    assert [line["event"] for line in lines] == ["door_request_failed", "door_request"]


async def test_a_client_that_left_is_not_answered() -> None:
    door = Door(raising(ClientGone()))

    assert (await knock(door)).told == []
    assert door.counts.requests == {("route", "gone"): 1}


async def test_what_takes_long_is_cancelled_when_its_client_leaves() -> None:
    ended: list[str] = []

    async def query(exchange: Exchange) -> None:
        async with exchange.until_gone():
            try:
                await trio.sleep_forever()
            finally:
                ended.append("query")

    door, visitor = Door(query), Visitor()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door, visitor.scope, visitor.receive, visitor.send)
        await trio.testing.wait_all_tasks_blocked()
        visitor.gone.set()

    assert (ended, visitor.told) == (["query"], [])
    assert door.counts.requests == {("route", "gone"): 1}


async def test_a_websocket_is_turned_away() -> None:
    assert (await knock(Door(hello), type="websocket")).told == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize(("request_s", "seconds"), [(30.0, 30.0), (None, 0.0)])
async def test_a_request_may_take_so_long(request_s: float | None, seconds: float) -> None:
    assert (await knock(Door(hello, request_s=request_s))).connection.seconds == seconds


async def test_a_connection_that_was_cut_is_kept_for_no_further_request() -> None:
    visitor = Visitor()
    visitor.connection.cut()

    await Door(hello, request_s=30.0)(visitor.scope, visitor.receive, visitor.send)

    assert visitor.connection.seconds == 1


async def test_it_serves_until_the_end_and_answers_what_was_asked_by_then(certs_dir: Path) -> None:
    door: Door
    asked, stop = trio.Event(), trio.Event()

    async def until_the_end(exchange: Exchange) -> None:
        asked.set()
        await door.stopped.wait()
        await hello(exchange)

    door = Door(until_the_end)
    limits = Limits(handshake_s=5.0, idle_s=5.0, stalled_s=5.0, connection_s=60.0, connections=10)
    files = TlsFiles.named(certs_dir, "doppler")
    answers: list[httpx.Response] = []

    async def serve(*, task_status: trio.TaskStatus[str]) -> None:
        await door.serve("127.0.0.1:0", files, limits, setting="x", stop=stop, grace_s=20.0, task_status=task_status)

    async def ask(address: str) -> None:
        async with httpx.AsyncClient(verify=client_context(certs_dir / "ca.crt"), trust_env=False) as client:
            answers.append(await client.get(f"https://{address}/"))

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            address = await nursery.start(serve)
            nursery.start_soon(ask, address)
            await asked.wait()
            assert door.connections.open == 1
            stop.set()

    assert [(answer.status_code, answer.headers["cache-control"]) for answer in answers] == [(200, "no-store")]
