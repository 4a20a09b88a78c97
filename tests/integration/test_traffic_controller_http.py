"""The HTTP side of a traffic controller over raw TLS, as clients of the original see it (loggregator.md 3.1)."""

import stat
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import pytest
import trio
from websockets.frames import Frame, Opcode
from websockets.trio.client import connect

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles, client_context
from plumbing.tokens import TokenStore
from tests import raw_http
from tests.fakes.capi import FakeCapi
from tests.fakes.log_cache import FakeLogCache, batch, open_log_cache
from tests.fakes.uaa import FakeUaa
from tests.noaa import Closed, WebSocket, parts_of
from tests.running import eventually, get, running

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"
HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@dataclass
class Reply:
    """What came back until the server hung up."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def parts(self) -> list[v1.Envelope]:
        return [v1.Envelope.FromString(part) for part in parts_of(self.headers["content-type"], self.body)]


@dataclass
class Door:
    """A traffic controller without Dopplers, and the tokens it takes."""

    ports: Ports
    certs: Path
    tokens: TokenStore

    def token(self, *sources: str) -> str:
        if not sources:
            return self.tokens.ensure_admin_token(time.time()).read_text()
        return self.tokens.create(scopes=[], sources=list(sources), expires_in_s=None, now=time.time())

    async def dial(self) -> trio.SSLStream[trio.SocketStream]:
        host, _, port = self.ports["listen"].rpartition(":")
        raw = await trio.open_tcp_stream(host, int(port))
        context = client_context(self.certs / "ca.crt")
        stream = trio.SSLStream(raw, context, server_hostname=host, https_compatible=True)
        await stream.do_handshake()
        return stream

    async def send(self, raw: bytes, *more: bytes, method: str = "GET") -> Reply:
        """Send bytes as they are; reads all that comes back."""
        stream = await self.dial()
        received = b""
        with trio.fail_after(10):
            for piece in (raw, *more):
                await stream.send_all(piece)
            while arrived := await stream.receive_some(65536):
                received += arrived
        await trio.aclose_forcefully(stream)
        return _reply(received, method)

    async def ask(
        self, target: str, *headers: str, method: str = "GET", token: str | None = None, body: str = ""
    ) -> Reply:
        """Make one request of HTTP/1.1."""
        lines = [f"{method} {target} HTTP/1.1", "Host: doppler.sys.example", *headers]
        lines += [f"Authorization: bearer {token}"] if token else []
        lines += [f"Content-Length: {len(body)}"] if body else []
        return await self.send("\r\n".join([*lines, "", body]).encode("latin-1"), method=method)

    async def refusals(self, status: int) -> float:
        metrics = await get(self.ports, self.certs, "/metrics")
        sample = f'traffic_controller_requests_refused_total{{status="{status}"}} '
        return next((float(line.removeprefix(sample)) for line in metrics.splitlines() if line.startswith(sample)), 0)


def _reply(received: bytes, method: str) -> Reply:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(received)
    client.receive_data(b"")
    head, body = None, b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
    assert head is not None
    return Reply(head.status_code, {name.decode(): value.decode("latin-1") for name, value in head.headers}, body)


@asynccontextmanager
async def open_door(certs: Path, tmp_path: Path, **settings: Any) -> AsyncIterator[Door]:
    tokens = TokenStore(tmp_path / "tokens")
    tokens.ensure_admin_token(time.time())
    defaults = {
        "doppler_addresses": ["127.0.0.1:9"],
        "auth": {"tokens_dir": tmp_path / "tokens"},
        "drain_grace_s": 0.5,
        "system_domain": "sys.example",
    }
    async with running("traffic_controller", certs, **{**defaults, **settings}) as ports:
        yield Door(ports, certs, tokens)


@pytest.fixture
async def door(certs_dir: Path, tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(certs_dir, tmp_path) as door:
        yield door


@pytest.fixture
async def log_cache(certs_dir: Path) -> AsyncIterator[FakeLogCache]:
    async with open_log_cache(TlsFiles.named(certs_dir, "log-cache")) as fake:
        yield fake


def log_line(text: bytes, timestamp: int) -> v2.Envelope:
    return v2.Envelope(source_id=APP, timestamp=timestamp, log={"payload": text})


def container(instance: int, timestamp: int, cpu: float) -> v2.Envelope:
    names = ("memory", "disk", "memory_quota", "disk_quota")
    metrics = {name: {"unit": "bytes", "value": 1} for name in names} | {"cpu": {"unit": "percentage", "value": cpu}}
    return v2.Envelope(source_id=APP, instance_id=str(instance), timestamp=timestamp, gauge={"metrics": metrics})


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS", "DELETE", "BREW"])
async def test_an_unknown_path_is_not_found_as_gos_library_says_it(door: Door, method: str) -> None:
    reply = await door.ask("/nothing?a=b", method=method)

    assert (reply.status, reply.body) == (404, b"404 page not found\n")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize(
    "target",
    [
        f"/apps/{APP}/../other/stream",
        f"/apps/other%2f..%2f{APP}/stream",
        f"/apps/other%2F..%2F{APP}/recentlogs",
        f"//apps/{APP}/stream",
        f"/apps//{APP}/stream",
        "/apps/%2e%2e/stream",
        "/apps/%00/stream",
        "/apps/%c0%ae/stream",
        f"/apps/{'x' * 300}/stream",
        f"https://h/apps/{APP}/stream",
    ],
)
async def test_no_trick_with_a_path_leads_anywhere(door: Door, target: str) -> None:
    assert (await door.ask(target, HANDSHAKE.strip(), token=door.token())).status == 404


async def test_of_one_apps_token_no_spelling_opens_another(door: Door) -> None:
    mine = door.token(APP)

    for name in ("other", "other%00", f"{APP}%20", APP.upper(), f"{APP}%2500"):
        reply = await door.ask(f"/apps/{name}/stream", HANDSHAKE.strip(), token=mine)
        assert reply.status in (401, 404), name


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", "", 400),
        ("HEAD", "", 400),
        ("POST", "", 400),
        ("POST", HANDSHAKE, 405),
        ("GET", HANDSHAKE.replace("13", "8"), 400),
        ("GET", HANDSHAKE.replace("Sec-WebSocket-Key", "X"), 400),
    ],
)
async def test_a_stream_is_for_websockets_alone(door: Door, method: str, headers: str, status: int) -> None:
    for target in ("/firehose/s", f"/apps/{APP}/stream"):
        reply = (
            await door.ask(target, *headers.strip().split("\r\n"), method=method, token=door.token())
            if headers
            else (await door.ask(target, method=method, token=door.token()))
        )
        words = {400: b"Bad Request\n", 405: b"Method Not Allowed\n"}[status]
        assert (reply.status, reply.body) == (status, b"" if method == "HEAD" else words)
        assert reply.headers["sec-websocket-version"] == "13"


async def test_access_is_asked_about_before_anything_else(door: Door) -> None:
    reply = await door.ask("/firehose/s")

    assert (reply.status, reply.body) == (401, b"You are not authorized. authorization not provided")
    assert reply.headers["www-authenticate"] == "Basic"
    assert await door.refusals(401) == 1


@pytest.mark.parametrize("errand", ["recentlogs", "containermetrics"])
async def test_an_app_is_for_whoever_has_its_token(door: Door, errand: str) -> None:
    target = f"/apps/{APP}/{errand}"

    assert (await door.ask(target)).status == 401
    assert (await door.ask(target, token=door.token("another"))).status == 401
    assert (await door.ask(target, token=door.token(APP))).status == 200
    assert (await door.ask(target, f"Cookie: authorization=bearer%20{door.token(APP)}")).status == 200


async def test_the_open_door_is_open_whatever_an_app_is_called(certs_dir: Path, tmp_path: Path) -> None:
    async with open_door(certs_dir, tmp_path, auth={"mode": "open"}) as door:
        assert (await door.ask("/apps/app-1/containermetrics")).status == 200


async def test_without_a_log_cache_old_clients_get_what_the_original_says(door: Door) -> None:
    recent = await door.ask(f"/apps/{APP}/recentlogs", "Origin: https://page", token=door.token())
    metrics = await door.ask(f"/apps/{APP}/containermetrics", "Origin: https://page", token=door.token())

    [line] = recent.parts
    assert line.logMessage.message == b"recent log endpoint requires a log cache. please talk to you operator"
    assert (line.logMessage.source_type, line.logMessage.message_type) == ("Loggregator", 2)
    assert recent.headers["access-control-allow-origin"] == "https://page"
    assert recent.headers["access-control-allow-credentials"] == "true"
    assert (metrics.status, metrics.parts) == (200, [])
    assert "access-control-allow-origin" not in metrics.headers


async def test_a_page_may_read_that_it_was_refused(door: Door) -> None:
    reply = await door.ask(f"/apps/{APP}/recentlogs", "Origin: https://page")

    assert (reply.status, reply.headers["access-control-allow-origin"]) == (401, "https://page")


async def test_recent_logs_come_from_the_log_cache_newest_first(
    certs_dir: Path, tmp_path: Path, log_cache: FakeLogCache
) -> None:
    log_cache.answer = lambda _: (200, batch(log_line(b"--two\r\n", 2), log_line(b"one", 1)))

    async with open_door(certs_dir, tmp_path, log_cache_url=log_cache.address) as door:
        token = door.token(APP)
        replies = [await door.ask(f"/apps/{APP}/recentlogs{query}", token=token) for query in ("", "?limit=2")]

    assert [[part.logMessage.message for part in reply.parts] for reply in replies] == [[b"--two\r\n", b"one"]] * 2
    assert [asked.query["limit"] for asked in log_cache.asked] == [["1000"], ["2"]]
    assert {asked.query["envelope_types"][0] for asked in log_cache.asked} == {"LOG"}
    assert {asked.headers["authorization"] for asked in log_cache.asked} == {f"bearer {token}"}
    assert {asked.source_id for asked in log_cache.asked} == {APP}


async def test_container_metrics_are_the_newest_of_each_instance(
    certs_dir: Path, tmp_path: Path, log_cache: FakeLogCache
) -> None:
    custom = v2.Envelope(source_id=APP, gauge={"metrics": {"custom": {"value": 1}}})
    log_cache.answer = lambda _: (200, batch(container(1, 9, 0.5), custom, container(0, 8, 0.25), container(1, 7, 0.1)))

    async with open_door(certs_dir, tmp_path, log_cache_url=log_cache.address) as door:
        parts = (await door.ask(f"/apps/{APP}/containermetrics", token=door.token(APP))).parts

    found = [(part.containerMetric.instanceIndex, part.containerMetric.cpuPercentage) for part in parts]
    assert found == [(0, 0.25), (1, 0.5)]
    assert log_cache.asked[0].query["envelope_types"] == ["GAUGE"]
    assert time.time_ns() - int(log_cache.asked[0].query["start_time"][0]) < 120 * 10**9


async def test_a_log_cache_that_fails_is_an_internal_error_in_words(
    certs_dir: Path, tmp_path: Path, log_cache: FakeLogCache
) -> None:
    log_cache.answer = lambda _: (503, b"secret")

    async with open_door(certs_dir, tmp_path, log_cache_url=log_cache.address) as door:
        reply = await door.ask(f"/apps/{APP}/recentlogs", "Origin: https://page", token=door.token())

    assert (reply.status, reply.body) == (500, b"the log cache answered 503")
    assert reply.headers["access-control-allow-origin"] == "https://page"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_cookie_is_set_by_any_method(door: Door, method: str) -> None:
    reply = await door.ask(
        "/set-cookie?CookieName=authorization&CookieValue=abc", "Origin: https://page", method=method
    )

    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["set-cookie"] == (
        "authorization=abc; Domain=doppler.sys.example; Secure; HttpOnly; SameSite=Lax"
    )
    assert reply.headers["access-control-allow-origin"] == "https://page"
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert reply.headers["access-control-allow-headers"] == "Content-Type"


FORM = "Content-Type: application/x-www-form-urlencoded"


async def test_a_cookie_is_made_of_a_form(door: Door) -> None:
    reply = await door.ask("/set-cookie", FORM, method="POST", body="CookieName=a&CookieValue=b%20c")

    assert reply.headers["set-cookie"].startswith('a="b c"; ')


@pytest.mark.parametrize("body", ["CookieName=a", "CookieName=a&CookieValue=b%0d%0aX:y", "x" * 5000])
async def test_a_form_that_makes_no_cookie_is_a_bad_request(door: Door, body: str) -> None:
    reply = await door.ask("/set-cookie", FORM, method="POST", body=body)

    assert reply.status == 400
    assert "set-cookie" not in reply.headers


async def test_a_body_may_come_late_in_pieces_and_be_waited_for(door: Door) -> None:
    stream = await door.dial()
    head = (
        f"POST /set-cookie HTTP/1.1\r\nHost: h\r\n{FORM}\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    )
    with trio.fail_after(10):
        await stream.send_all(head.encode())
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(b"1c\r\nCookieName=a&CookieValue=bcd\r\n0\r")
        await stream.send_all(b"\n\r\n")
        assert b"a=bcd; " in await stream.receive_some()
    await trio.aclose_forcefully(stream)


async def test_what_comes_behind_a_request_is_not_looked_at(door: Door) -> None:
    request = b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"

    reply = await door.send(request + request, b"\x00garbage" * 1000)

    assert (reply.status, reply.body) == (404, b"404 page not found\n")
    assert await door.refusals(404) == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\x00\x01\x02garbage", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /firehose/s\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 20_000, 431),
    ],
)
async def test_a_head_that_is_none_or_too_large_is_refused_and_counted(door: Door, head: bytes, status: int) -> None:
    reply = await door.send(head)

    assert (reply.status, reply.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert await door.refusals(status) == 1


async def test_a_slow_head_and_a_slow_body_are_not_waited_for(certs_dir: Path, tmp_path: Path) -> None:
    async with open_door(certs_dir, tmp_path, header_timeout_s=0.2) as door:
        assert (await door.send(b"GET / HTTP/1.1\r\nHost:")).status == 408
        assert (await door.send(b"POST /set-cookie HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")).status == 408
        silent = await door.dial()
        with trio.fail_after(5):
            assert await silent.receive_some() == b""
        await trio.aclose_forcefully(silent)
        assert await door.refusals(408) == 2


async def test_clients_that_leave_in_the_middle_harm_nobody(door: Door) -> None:
    for beginning in ("", "GET /fire", "POST /set-cookie HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"):
        for _ in range(5):
            stream = await door.dial()
            await stream.send_all(beginning.encode())
            await trio.aclose_forcefully(stream)
        polite = await door.dial()
        await polite.send_all(beginning.encode())
        await polite.aclose()

    assert (await door.ask("/nothing")).status == 404
    assert await door.refusals(500) == 0


async def test_a_silent_client_does_not_hold_up_the_end(certs_dir: Path, tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with open_door(certs_dir, tmp_path, header_timeout_s=60, drain_grace_s=60) as door:
            silent = await door.dial()
        assert await silent.receive_some() == b""
        await trio.aclose_forcefully(silent)


async def test_so_many_are_received_at_once_and_one_more_is_told_so(certs_dir: Path, tmp_path: Path) -> None:
    async with open_door(certs_dir, tmp_path, max_requests=2, header_timeout_s=30) as door:
        silent = [await door.dial() for _ in range(2)]

        async def is_crowded() -> bool:
            return (await door.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")).status == 503

        await eventually(is_crowded)
        for each in silent:
            await trio.aclose_forcefully(each)

        async def has_room() -> bool:
            return not await is_crowded()

        await eventually(has_room)


async def test_a_reader_more_than_there_are_seats_is_told_so(certs_dir: Path, tmp_path: Path) -> None:
    async with open_door(certs_dir, tmp_path, max_readers=1) as door:
        headers = {"Authorization": f"bearer {door.token()}"}
        url = f"wss://{door.ports['listen']}/firehose/s"
        async with connect(url, ssl=client_context(certs_dir / "ca.crt"), additional_headers=headers):
            reply = await door.ask("/firehose/s", HANDSHAKE.strip(), token=door.token())
            assert (reply.status, reply.body) == (503, b"too many readers\n")
            assert (await door.ask("/firehose/s")).status == 401  # access before seats

        async def has_room() -> bool:
            return (await door.ask("/firehose/s", token=door.token())).status == 400

        await eventually(has_room)


async def test_each_request_is_a_line_in_the_access_log(certs_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    async with open_door(certs_dir, tmp_path, security_event_log=file) as door:
        await door.ask("/firehose/s?filter-type=logs&token=secret", "X-Vcap-Request-ID: id-1", token="secret")
        await door.ask("/nothing|x", "X-Forwarded-For: 1.2.3.4:5, 6.7.8.9", "Cookie: authorization=secret")
        await door.send(b"no request\r\n\r\n")
        port = door.ports["listen"].rpartition(":")[2]

    first, second = file.read_text().splitlines()
    assert first.startswith(
        "CEF:0|cloud_foundry|loggregator_trafficcontroller|1.0|GET /firehose/s?filter-type=logs|GET "
    )
    assert " cs1=oauth-access-token cs2Label=vcapRequestId cs2=id-1 " in first
    assert " src=127.0.0.1 spt=" in first
    assert first.endswith(f" dst=127.0.0.1 dpt={port}")
    assert r"|GET /nothing\|x|" in second
    assert " src=1.2.3.4 spt=5 " in second
    assert "secret" not in first + second
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def opened(door: Door, *headers: str) -> tuple[raw_http.Reply, WebSocket]:
    """Open a firehose; returns the answer to its handshake, and what speaks on."""
    stream = await door.dial()
    token = f"Authorization: bearer {door.token()}"
    reply = await raw_http.exchange(stream, raw_http.request("/firehose/s", raw_http.HANDSHAKE, token, *headers))
    return reply, WebSocket(stream, reply.rest)


async def test_any_origin_is_accepted_and_no_protocol_or_compression(door: Door) -> None:
    offers = (
        "Origin: https://elsewhere",
        "Sec-WebSocket-Protocol: v1, v2",
        "Sec-WebSocket-Extensions: permessage-deflate",
    )
    reply, socket = await opened(door, *offers)
    await socket.close()

    assert reply.status == 101
    assert reply.lasting_headers == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    }


async def test_a_client_is_pinged_at_once(door: Door) -> None:
    _, socket = await opened(door)
    with trio.fail_after(5):
        assert (await socket.frame())[0] is Opcode.PING
    await socket.close()


@pytest.mark.parametrize("code", [1000, 1001, 4000])
async def test_a_goodbye_is_returned(door: Door, code: int) -> None:
    _, socket = await opened(door)
    await socket.stream.send_all(Frame(Opcode.CLOSE, code.to_bytes(2, "big")).serialize(mask=True))

    with trio.fail_after(5), pytest.raises(Closed) as closed:
        await socket.message()
    assert closed.value.args == (code, "")


@pytest.mark.parametrize(
    "nonsense",
    [
        Frame(Opcode.BINARY, b"not masked").serialize(mask=False),
        b"\x93\x80mask",  # an opcode that there is not
        b"\xc2\x80mask",  # an extension that was not agreed on
        Frame(Opcode.CONT, b"of nothing").serialize(mask=True),
    ],
)
async def test_a_client_that_does_not_speak_the_protocol_is_told_so(door: Door, nonsense: bytes) -> None:
    _, socket = await opened(door)
    await socket.stream.send_all(nonsense)

    with trio.fail_after(5), pytest.raises(Closed) as closed:
        await socket.message()
    assert closed.value.code == 1002


async def test_what_is_asked_of_others_is_counted(certs_dir: Path, tmp_path: Path, log_cache: FakeLogCache) -> None:
    log_cache.answer = lambda _: (503, b"")
    file = tmp_path / "access.log"
    async with open_door(certs_dir, tmp_path, log_cache_url=log_cache.address, security_event_log=file) as door:
        await door.ask(f"/apps/{APP}/recentlogs", token=door.token())
        metrics = await get(door.ports, certs_dir, "/metrics")

    assert "traffic_controller_log_cache_failures_total 1.0\n" in metrics
    assert "traffic_controller_access_log_failures_total 0.0\n" in metrics
    assert 'traffic_controller_auth_questions_total{authority="local",outcome="asked"} 1.0\n' in metrics


async def test_whoever_waits_for_an_answer_when_it_stops_gets_it(certs_dir: Path, tmp_path: Path) -> None:
    release = threading.Event()
    with FakeUaa(certs_dir) as uaa, FakeCapi(certs_dir, lambda _: (release.wait(10), None)[1]) as capi:
        (tmp_path / "secret").write_text("word")
        authority = {
            "mode": "uaa",
            "uaa_url": uaa.url,
            "uaa_ca": certs_dir / "ca.crt",
            "uaa_client_id": "doppler",
            "uaa_client_secret_file": tmp_path / "secret",
            "capi_url": capi.url,
            "capi_ca": certs_dir / "ca.crt",
            "capi_cert": certs_dir / "client.crt",
            "capi_key": certs_dir / "client.key",
        }
        replies: list[Reply] = []

        async def ask(door: Door) -> None:
            replies.append(await door.ask(f"/apps/{APP}/recentlogs", token="x"))

        async with trio.open_nursery() as nursery:
            async with open_door(certs_dir, tmp_path, auth=authority, drain_grace_s=10) as door:
                nursery.start_soon(ask, door)

                async def is_asked_about() -> bool:
                    return bool(capi.requests)

                await eventually(is_asked_about)
                threading.Timer(0.5, release.set).start()

    assert [reply.status for reply in replies] == [401]
