"""One connection at the front door: whatever comes in on it, it is answered, handed over or closed."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbing.auth import INVALID, Access, AuthorityCounts, Decision
from traffic_controller import http_server
from traffic_controller.access_log import AccessLog
from traffic_controller.config import Config
from traffic_controller.doors import Stream
from traffic_controller.http_errands import Errands
from traffic_controller.http_server import FrontDoor

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"
HANDSHAKE = (
    b"Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
HANG_UP = b"(the client hangs up)"


@pytest.fixture(autouse=True, scope="module")
def _impatient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_server, "_LINGER_S", 0.001)
        yield


class FakeAuthority:
    """Says the same to everyone, after a moment."""

    counts = AuthorityCounts()

    def __init__(self, access: Access | None = Access.GRANTED) -> None:
        self.access = access

    async def firehose(self, token: str | None) -> Decision:
        return await self._decide()

    async def admin(self, token: str | None) -> Decision:
        return await self._decide()

    async def source(self, token: str | None, source_id: str, *, services: bool = False) -> Decision:
        return await self._decide()

    async def close(self) -> None:
        pass

    async def _decide(self) -> Decision:
        await asyncio.sleep(0.005)
        if self.access is None:
            raise RuntimeError("out of order")
        return Decision(self.access, INVALID)


class FakeTransport(asyncio.Transport):
    """A connection whose other end takes everything, and hangs up when we do."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.9", 4567), "sockname": ("::1", 8081, 0, 0)})
        self.written = b""
        self.is_paused = False
        self.visitor: Any = None
        self._is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            asyncio.get_running_loop().call_soon(self.visitor.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Visit:
    """What became of a connection."""

    def __init__(self, *, access: Access | None = Access.GRANTED, mode: str = "local", **config: Any) -> None:
        nowhere = Path("none.pem")
        self.config = Config(
            tls_ca=nowhere,
            tls_cert=nowhere,
            tls_key=nowhere,
            auth={"mode": mode},  # type: ignore[arg-type]  # pydantic makes a section of it
            **{"header_timeout_s": 0.05, **config},
        )
        self.access_log: AccessLog | None = None
        self.authority = FakeAuthority(access)
        self.transport = FakeTransport()
        self.handed_over: list[tuple[Stream, bytes]] = []
        self.refused: Counter[int] = Counter()
        self.is_paused_while_asking = False

    def run(self, *pieces: bytes) -> bytes:
        asyncio.run(self._run(pieces))
        return self.transport.written

    async def _run(self, pieces: Sequence[bytes]) -> None:
        door = FrontDoor(
            self.config,
            self.authority,
            Errands(None, "sys"),
            self.access_log,
            has_seat=lambda: True,
            refused=self.refused,
        )
        visitor = self.transport.visitor = door.receive(
            lambda _, stream, arrived: self.handed_over.append((stream, arrived))
        )
        visitor.connection_made(self.transport)
        for piece in pieces:
            if piece is HANG_UP:
                visitor.eof_received()
            else:
                visitor.data_received(piece)
            await asyncio.sleep(0)
        self.is_paused_while_asking = self.transport.is_paused
        async with asyncio.timeout(5):
            await asyncio.wait([visitor.visit])
        assert not door._visitors


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=40),
            st.sampled_from(
                [
                    b"GET /firehose/s HTTP/1.1\r\n",
                    b"POST /set-cookie HTTP/1.1\r\n",
                    HANDSHAKE,
                    b"\r\n",
                    b"Content-Length: 4\r\n",
                ]
            ),
        ),
        max_size=5,
    )
)
def test_whatever_comes_in_ends_in_an_answer_a_stream_or_nothing(pieces: list[bytes]) -> None:
    visit = Visit(header_timeout_s=0.001)

    written = visit.run(*pieces)

    assert written.startswith(b"HTTP/1.1 ") or visit.handed_over or not b"".join(pieces)
    assert written.count(b"\r\nConnection: close\r\n") <= 1


def test_a_stream_is_handed_over_with_its_handshake_and_what_came_behind_it() -> None:
    visit = Visit()

    assert visit.run(b"GET /firehose/s HTTP/1.1\r\n" + HANDSHAKE + b"Authorization: t\r\n\r\nab", b"cd") == b""

    [(stream, arrived)] = visit.handed_over
    assert (stream.name, stream.remote) == ("s", "10.0.0.9:4567")
    assert arrived.startswith(b"GET /firehose/s HTTP/1.1\r\nHost: localhost\r\n")
    assert arrived.endswith(b"\r\n\r\nabcd")
    assert b"Authorization" not in arrived


def test_a_client_that_says_more_than_it_may_is_not_read() -> None:
    visit = Visit(access=Access.DENIED)

    visit.run(b"GET /firehose/s HTTP/1.1\r\nHost: h\r\n\r\n", b"x" * 70_000)

    assert visit.is_paused_while_asking
    assert visit.refused == {401: 1}


def test_a_client_that_has_hung_up_is_handed_to_nobody() -> None:
    visit = Visit()

    visit.run(b"GET /firehose/s HTTP/1.1\r\n" + HANDSHAKE + b"\r\n", HANG_UP)

    assert not visit.handed_over
    assert visit.transport.is_closing()


@pytest.mark.parametrize(
    ("name", "access", "status"),
    [
        ("app-1", Access.GRANTED, 401),
        (APP, Access.DENIED, 401),
        (APP, Access.HIDDEN, 404),
        (APP, Access.UNKNOWN, 500),
        (APP, Access.GRANTED, 200),
    ],
)
def test_with_a_cloud_controller_apps_have_guids(name: str, access: Access, status: int) -> None:
    visit = Visit(access=access, mode="uaa")

    written = visit.run(f"GET /apps/{name}/containermetrics HTTP/1.1\r\nHost: h\r\n\r\n".encode())

    assert written.startswith(f"HTTP/1.1 {status} ".encode())
    assert visit.refused == ({status: 1} if status >= 400 else {})


def test_an_authority_that_is_out_of_order_is_an_internal_error() -> None:
    visit = Visit(access=None)

    with structlog.testing.capture_logs() as logs:
        written = visit.run(b"GET /firehose/s HTTP/1.1\r\nHost: h\r\n\r\n")

    assert written.startswith(b"HTTP/1.1 500 ")
    assert "out of order" not in written.decode()
    assert [each["event"] for each in logs] == ["request", "request_failed"]


def test_whoever_says_nothing_is_told_nothing_and_not_counted() -> None:
    visit = Visit()

    assert visit.run() == b""
    assert not visit.refused


def test_a_log_event_says_who_asked_through_whom_and_holds_no_token() -> None:
    head = (
        b"GET /firehose/s?token=secret HTTP/1.1\r\nHost: h\r\nAuthorization: bearer secret\r\n"
        b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n"
    )

    with structlog.testing.capture_logs() as logs:
        Visit().run(head)

    [event] = logs
    assert (event["path"], event["remote"]) == ("/firehose/s", "10.0.0.9:4567")
    assert (event["forwarded_for"], event["forwarded_proto"]) == ("1.2.3.4", "https")
    assert "secret" not in str(event)


def test_what_is_refused_is_in_the_access_log_too(tmp_path: Path) -> None:
    visit = Visit(access=Access.DENIED)
    visit.access_log = AccessLog(tmp_path / "log")

    visit.run(b"GET /firehose/s HTTP/1.1\r\nHost: h\r\n\r\n")
    visit.access_log.close()

    assert "dst=::1 dpt=8081" in (tmp_path / "log").read_text()
