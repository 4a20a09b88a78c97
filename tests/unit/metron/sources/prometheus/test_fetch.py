"""A target may answer whatever it likes: it is an answer, or one failed scrape, in bounded time and space."""

import gc
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from metron.sources.prometheus.config import Prometheus, ScrapeTarget
from metron.sources.prometheus.fetch import Answer, ScrapeFailed, fetch, problem_of, url_of

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
Server = Callable[[trio.SocketStream, bytes], Awaitable[None]]


@asynccontextmanager
async def serving(answer: bytes | Server) -> AsyncIterator[ScrapeTarget]:
    """Serve one answer, or converse, on a free port; yields the target it makes."""

    async def converse(stream: trio.SocketStream) -> None:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await stream.receive_some()
            try:
                if isinstance(answer, bytes):
                    await stream.send_all(answer)
                else:
                    await answer(stream, request)
            except trio.BrokenResourceError:
                pass  # it has had enough

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            lambda task_status: trio.serve_tcp(converse, 0, host="127.0.0.1", task_status=task_status)
        )
        yield ScrapeTarget(port=listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


async def ask(answer: bytes | Server, *, within_s: float = 5, max_bytes: int = 1000) -> Answer:
    async with serving(answer) as target:
        try:
            with trio.fail_after(within_s):
                return await fetch(target, Prometheus(max_bytes=max_bytes))
        except (ScrapeFailed, trio.TooSlowError) as error:
            failure = error  # raised outside, where no nursery makes a group of it
    raise failure


async def test_the_whole_answer_is_given() -> None:
    assert await ask(OK + b"content-length: 4\r\n\r\na 1\n") == Answer(b"a 1\n", "text/plain")
    assert await ask(OK + b"\r\na 1\n") == Answer(b"a 1\n", "text/plain")
    assert await ask(OK + b"transfer-encoding: chunked\r\n\r\n4\r\na 1\n\r\n0\r\n\r\n") == Answer(
        b"a 1\n", "text/plain"
    )


async def test_the_request_has_the_headers_that_are_set_and_asks_for_nothing_packed() -> None:
    asked: list[bytes] = []

    async def keep(stream: trio.SocketStream, request: bytes) -> None:
        asked.append(request.lower())
        await stream.send_all(OK + b"content-length: 0\r\n\r\n")

    async with serving(keep) as target:
        headers = {"Authorization": "lemons", "Accept-Encoding": "gzip", "Accept": "application/openmetrics-text"}
        target = target.model_copy(update={"headers": headers, "path": "/m?x=y"})
        await fetch(target, Prometheus())

    assert asked[0].startswith(b"get /m?x=y http/1.1\r\n")
    assert b"\r\nauthorization: lemons\r\n" in asked[0]
    assert b"\r\naccept: application/openmetrics-text\r\n" in asked[0]
    assert asked[0].count(b"accept-encoding: identity") == asked[0].count(b"accept-encoding") == 1


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", "status 500"),
        (b"HTTP/1.1 204 None\r\n\r\n", "status 204"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n", "status 302"),
        (OK + b"content-length: 400\r\n\r\na 1\n", "RemoteProtocolError"),
        (OK + b"content-length: x\r\n\r\na 1\n", "RemoteProtocolError"),
        (OK + b"transfer-encoding: chunked\r\n\r\n4\r\na 1\n\r\n", "RemoteProtocolError"),
        (OK + b"content-length: 9999999999\r\n\r\n" + b"x" * 2000, "more than 1000 bytes"),
        (OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(bytes(1 << 20)), "content-encoding gzip"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50_000, "RemoteProtocolError"),
    ],
)
async def test_any_other_answer_is_a_failed_scrape(answer: bytes, problem: str) -> None:
    with pytest.raises(ScrapeFailed, match=problem):
        await ask(answer)


async def test_a_target_that_never_stops_sending_is_left_at_the_bound() -> None:
    sent = 0

    async def flood(stream: trio.SocketStream, _: bytes) -> None:
        nonlocal sent
        await stream.send_all(OK + b"content-length: 1073741824\r\n\r\n")
        for _ in range(1 << 14):
            await stream.send_all(b"a 1\n" * (1 << 14))
            sent += 1 << 16

    with pytest.raises(ScrapeFailed, match="more than 100000 bytes"):
        await ask(flood, max_bytes=100_000)
    assert sent < 32 << 20  # what fits into the buffers of a connection, of the 1 GiB


async def test_a_target_that_says_nothing_can_be_given_up_at_any_time() -> None:
    async def hang(stream: trio.SocketStream, _: bytes) -> None:
        await stream.send_all(OK)
        await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError):
        await ask(hang, within_s=0.1)


async def test_a_handshake_that_is_given_up_leaves_nothing_open(certs_dir: Path) -> None:
    async def hang(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await left.wait()

    left = trio.Event()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, hang, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        target = ScrapeTarget(port=port, scheme="https", server_name="x", ca_path=certs_dir / "ca.crt")
        with trio.move_on_after(0.1):
            await fetch(target, Prometheus())
        gc.collect()  # a socket left open would be a warning, and that an error
        left.set()
        nursery.cancel_scope.cancel()


async def test_nobody_there_is_a_failed_scrape() -> None:
    async with serving(b"") as target:
        pass
    with pytest.raises(ScrapeFailed, match="ConnectError"):
        await fetch(target, Prometheus())


async def test_certificates_that_are_not_there_are_a_failed_scrape(tmp_path: Path) -> None:
    target = ScrapeTarget(port=1, scheme="https", server_name="x", ca_path=tmp_path / "ca.crt")

    with pytest.raises(ScrapeFailed, match=r"ca\.crt"):
        await fetch(target, Prometheus())


async def test_a_path_that_no_url_can_have_is_a_failed_scrape() -> None:
    with pytest.raises(ScrapeFailed, match="InvalidURL"):
        await fetch(ScrapeTarget(port=1, path="/a\nb"), Prometheus())


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:9100/metrics"),
        ({"path": "metrics"}, "http://127.0.0.1:9100/metrics"),
        ({"path": "@example.com/"}, "http://127.0.0.1:9100/@example.com/"),
        ({"path": ""}, "http://127.0.0.1:9100/"),
        ({"scheme": "https", "host": "::1"}, "https://[::1]:9100/metrics"),
    ],
)
def test_the_url_of_a_target(settings: dict[str, str], url: str) -> None:
    assert url_of(ScrapeTarget(port=9100, **settings)) == url


def test_an_https_target_needs_a_name_and_an_authority() -> None:
    ca = Path("ca.crt")
    nameless = ScrapeTarget(port=1, scheme="https", ca_path=ca)
    unsigned = ScrapeTarget(port=1, scheme="https", server_name="x")

    assert "server_name" in problem_of(nameless, Prometheus())
    assert "ca_path" in problem_of(unsigned, Prometheus())
    assert problem_of(unsigned, Prometheus(ca_path=ca)) == ""
    assert problem_of(ScrapeTarget(port=1), Prometheus()) == ""
