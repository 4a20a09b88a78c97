"""Who is let in, in which order things are checked, and what the log says about it."""

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing

from plumbing.auth import Access, Decision
from reverse_log_proxy.gateway import sessions as sessions_module
from reverse_log_proxy.gateway.config import GatewaySettings
from reverse_log_proxy.gateway.door import Door
from reverse_log_proxy.gateway.refusals import NOT_FOUND
from reverse_log_proxy.gateway.sessions import Sessions
from tests.fakes.http_connection import FakeConnection
from tests.unit.reverse_log_proxy.gateway.fakes import FakeUpstream

MINE = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"


class FakeAuthority:
    """Knows an admin, and somebody whose one source is `MINE`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.refusal = Access.DENIED

    async def admin(self, token: str | None) -> Decision:
        return Decision(Access.GRANTED if token == "admin" else self.refusal)

    async def source(self, token: str | None, source_id: str, *, services: bool = False) -> Decision:
        self.asked.append((source_id, services))
        return Decision(Access.GRANTED if (token, source_id) == ("mine", MINE) else self.refusal)


class Visitor:
    """Knocks at a door, and remembers what it was told."""

    def __init__(self, door: Door, sessions: Sessions, authority: FakeAuthority, shutdown: trio.Event) -> None:
        self.door, self.sessions, self.authority, self.shutdown = door, sessions, authority, shutdown
        self.connection = FakeConnection()
        self.messages: list[Any] = []

    async def knock(
        self, query: str, token: str | None = "admin", *, method: str = "GET", path: str = "/v2/read", **scope: Any
    ) -> int:
        """Ask, read for as long as there is something to read, leave, and return the status."""
        headers = [(b"authorization", f"bearer {token}".encode())] if token else []
        gone = trio.Event()
        self.messages = []

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.messages.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "http_version": "1.1",
            "headers": [*headers, *scope.pop("headers", [])],
            "client": ("192.0.2.1", 99),
            "state": {"connection": self.connection},
            **scope,
        }
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.door, scope, receive, send)
            await trio.testing.wait_all_tasks_blocked()
            gone.set()
        return int(self.messages[0].get("status", 0))

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


@pytest.fixture
async def visitor(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Visitor]:
    def inlet(_: Any, __: Any, ___: bytes, arrived: Callable[[Any], None]) -> FakeUpstream:
        return FakeUpstream(arrived)

    monkeypatch.setattr(sessions_module, "Inlet", inlet)
    config, authority, shutdown = GatewaySettings(), FakeAuthority(), trio.Event()
    sessions = Sessions(config, None)  # type: ignore[arg-type]  # no dopplers
    door = Door(config, authority, sessions, shutdown)  # type: ignore[arg-type]  # a fake
    async with trio.open_nursery() as nursery:
        sessions.begin(None, nursery)  # type: ignore[arg-type]  # no island
        yield Visitor(door, sessions, authority, shutdown)
        nursery.cancel_scope.cancel()


async def test_an_admin_may_read_everything(visitor: Visitor) -> None:
    assert await visitor.knock("log") == 200
    assert visitor.authority.asked == []


async def test_each_source_is_asked_about_as_an_app_or_a_service(visitor: Visitor) -> None:
    assert await visitor.knock(f"log&source_id={MINE}", "mine") == 200
    assert visitor.authority.asked == [(MINE, True)]


@pytest.mark.parametrize("query", ["log", "log&source_id=", f"log&source_id={MINE}&source_id=", "log&source_id=x"])
async def test_others_need_a_right_to_every_source_they_name(visitor: Visitor, query: str) -> None:
    assert await visitor.knock(query, "mine") == 404


async def test_a_source_that_is_named_again_is_asked_about_once(visitor: Visitor) -> None:
    assert await visitor.knock(f"log{f'&source_id={MINE}' * 100}", "mine") == 200
    assert visitor.authority.asked == [(MINE, True)]


async def test_a_token_of_which_nobody_knows_what_it_opens_opens_nothing(visitor: Visitor) -> None:
    visitor.authority.refusal = Access.UNKNOWN

    assert await visitor.knock(f"log&source_id={MINE}", "mine") == 404
    assert visitor.authority.asked == []


@pytest.mark.parametrize("access", [Access.DENIED, Access.HIDDEN, Access.UNKNOWN])
async def test_every_failure_of_access_looks_the_same(visitor: Visitor, access: Access) -> None:
    visitor.authority.refusal = access

    assert await visitor.knock(f"log&source_id={MINE}", "other") == 404
    assert visitor.body == b'{"message":"resource not found","error":"not_found"}\n\n'


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"path": "/v2/other", "token": None, "method": "POST", "query": ""}, 404),
        ({"token": None, "method": "POST", "query": ""}, 404),
        ({"method": "POST", "query": ""}, 405),
        ({"query": ""}, 400),
        ({"query": "log"}, 200),
    ],
)
async def test_path_access_method_and_query_are_checked_in_this_order(
    visitor: Visitor, given: dict[str, Any], status: int
) -> None:
    assert await visitor.knock(**given) == status


async def test_many_streams_on_one_connection_are_not_supported(visitor: Visitor) -> None:
    assert await visitor.knock("log", http_version="2") == 500
    assert visitor.body == b'{"message":"request does not support streaming","error":"streaming_unsupported"}\n\n'


async def test_during_shutdown_no_stream_begins(visitor: Visitor) -> None:
    visitor.shutdown.set()

    assert await visitor.knock("log") == 503


async def test_a_websocket_is_turned_away(visitor: Visitor) -> None:
    await visitor.knock("log", type="websocket")

    assert visitor.messages == [{"type": "websocket.close", "code": 1000}]


async def test_the_connection_may_last_as_long_as_a_stream(visitor: Visitor) -> None:
    await visitor.knock("log")

    assert visitor.connection.seconds > 840


async def test_when_the_client_leaves_its_session_lingers(visitor: Visitor) -> None:
    await visitor.knock("log")

    assert (len(visitor.sessions), visitor.door.streams.open) == (1, 0)


async def test_a_session_is_continued_under_its_id(visitor: Visitor) -> None:
    await visitor.knock("log")
    (account,) = visitor.sessions.accounts()
    session = next(iter(visitor.sessions._roster))

    await visitor.knock("log", headers=[(b"last-event-id", f"{session.id}-0".encode())])

    assert (len(visitor.sessions), visitor.door.counts.resumed, account.account) == (1, 1, "gateway 1")


async def test_a_failure_to_continue_is_said_and_counted(visitor: Visitor) -> None:
    assert await visitor.knock("log", headers=[(b"last-event-id", b"x")]) == 200
    assert visitor.body == b": cannot resume: the id is none of ours\n\n"
    assert visitor.door.counts.resume_failures == 1


async def test_refusals_are_counted_by_status(visitor: Visitor) -> None:
    await visitor.knock("")
    await visitor.knock("log", None)

    assert visitor.door.counts.refused == {400: 1, 404: 1}


async def test_each_request_is_one_line_in_the_log(visitor: Visitor) -> None:
    with structlog.testing.capture_logs() as lines:
        await visitor.knock("", headers=[(b"user-agent", b"curl"), (b"referer", b"there")])

    (line,) = lines
    assert 0 <= line.pop("duration_s") < 10
    assert line == {
        "event": "gateway_request",
        "log_level": "info",
        "remote": "192.0.2.1:99",
        "method": "GET",
        "target": "/v2/read",
        "protocol": "HTTP/1.1",
        "status": 400,
        "bytes": len(visitor.body),
        "referer": "there",
        "user_agent": "curl",
    }


async def test_a_fault_of_ours_is_an_answer_without_its_words(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: str | None) -> Decision:
        raise RuntimeError("a secret")

    monkeypatch.setattr(visitor.authority, "admin", fail)
    with structlog.testing.capture_logs() as lines:
        assert await visitor.knock("log") == 500

    assert (visitor.body, dict(visitor.messages[0]["headers"])[b"connection"]) == (b"", b"close")
    assert [line["event"] for line in lines] == ["gateway_request_failed", "gateway_request"]


async def test_refusals_that_are_constants_hold_nothing_of_the_requests_they_answered(visitor: Visitor) -> None:
    for _ in range(3):
        await visitor.knock("log", None)

    assert NOT_FOUND.__traceback__ is None


@pytest.mark.parametrize("token", ["admin", "secret-of-somebody"])
async def test_no_token_is_logged_or_kept(visitor: Visitor, token: str) -> None:
    with structlog.testing.capture_logs() as lines:
        await visitor.knock("log", token)

    assert token not in str(lines)
    assert all(s.owner.token == hashlib.sha256(token.encode()).digest() for s in visitor.sessions._roster)


async def test_where_a_token_may_be_nothing_is_logged(visitor: Visitor) -> None:
    with structlog.testing.capture_logs() as lines:
        await visitor.knock("log&token=SECRET&source_id=a&x", headers=[(b"referer", b"https://page/?token=SECRET")])

    assert (lines[0]["target"], lines[0]["referer"]) == ("/v2/read?log&source_id=a", "https://page/")


async def test_what_a_client_sends_is_logged_up_to_a_length(visitor: Visitor) -> None:
    with structlog.testing.capture_logs() as lines:
        await visitor.knock("x" * 100_000, headers=[(b"user-agent", b"y" * 100_000)])

    assert len(str(lines)) < 10_000


async def test_the_door_is_empty_when_everybody_has_left(visitor: Visitor) -> None:
    left: list[str] = []

    async def wait() -> None:
        await visitor.door.empty()
        left.append("all")

    async def visit() -> None:
        await visitor.knock("log")
        left.append("visitor")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(visit)
        await trio.sleep(0)
        nursery.start_soon(wait)

    assert sorted(left) == ["all", "visitor"]
