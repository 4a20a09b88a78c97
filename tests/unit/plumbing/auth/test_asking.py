from collections.abc import AsyncIterator

import httpx
import pytest
import trio
from structlog.testing import capture_logs

from plumbing.auth.asking import MAX_ANSWER_BYTES, Asker, Unanswered
from plumbing.auth.decisions import Tally
from tests.fakes.exchanges import asker, reply

URL = "https://uaa.example/check_token"


def read(status: int, body: bytes) -> tuple[int, bytes]:
    return status, body


async def test_a_question_goes_out_as_it_was_put() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return reply(200, b"yes")

    uaa = asker(answer)
    result = await uaa.ask("POST", URL, read, headers={"X": "y"}, form={"token": "a b"}, credentials=("id", "secret"))
    await uaa.close()

    assert result == (200, b"yes")
    assert (seen[0].method, str(seen[0].url), seen[0].content) == ("POST", URL, b"token=a+b")
    assert (seen[0].headers["X"], seen[0].headers["Authorization"]) == ("y", "Basic aWQ6c2VjcmV0")


async def test_redirects_are_answers_like_any_other() -> None:
    uaa = asker(lambda _: reply(302, headers={"Location": "https://elsewhere.example/"}))

    assert await uaa.ask("GET", URL, read) == (302, b"")


async def test_cookies_are_not_kept() -> None:
    cookies = []

    def answer(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("Cookie"))
        return reply(200, headers={"Set-Cookie": "session=somebody; Path=/"})

    uaa = asker(answer)
    for _ in range(2):
        await uaa.ask("GET", URL, read)

    assert cookies == [None, None]


@pytest.mark.parametrize("extra", [0, 1])
async def test_an_answer_has_a_bound(extra: int) -> None:
    uaa = asker(lambda _: reply(200, b" " * (MAX_ANSWER_BYTES + extra)))

    if extra:
        with pytest.raises(Unanswered, match="more than 262144 bytes"):
            await uaa.ask("GET", URL, read)
    else:
        assert await uaa.ask("GET", URL, read) == (200, b" " * MAX_ANSWER_BYTES)


@pytest.mark.parametrize("extra", [0, 1])
async def test_a_question_may_set_a_bound_of_its_own(extra: int) -> None:
    uaa = asker(lambda _: reply(200, b" " * (2 * MAX_ANSWER_BYTES + extra)))

    if extra:
        with pytest.raises(Unanswered, match="more than 524288 bytes"):
            await uaa.ask("GET", URL, read, max_bytes=2 * MAX_ANSWER_BYTES)
    else:
        assert (await uaa.ask("GET", URL, read, max_bytes=2 * MAX_ANSWER_BYTES))[0] == 200


async def test_a_body_without_end_is_cut_off() -> None:
    read_bytes = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read_bytes
        while True:
            await trio.lowlevel.checkpoint()
            read_bytes += 4096
            yield b" " * 4096

    uaa = asker(lambda _: httpx.Response(200, content=endless()))

    with pytest.raises(Unanswered):
        await uaa.ask("GET", URL, read)
    assert read_bytes == MAX_ANSWER_BYTES + 4096


async def test_an_answer_has_a_deadline(autojump_clock: trio.testing.MockClock) -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await trio.sleep_forever()
            raise AssertionError

    uaa = Asker("uaa", Tally(), transport=Silent(), timeout_s=7.0)
    start = trio.current_time()

    with pytest.raises(Unanswered, match="no answer within 7 s"):
        await uaa.ask("GET", URL, read)
    assert trio.current_time() - start == pytest.approx(7.0)


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadError(""), OSError("odd")])
async def test_a_connection_that_fails_is_no_answer(error: Exception) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    uaa = asker(answer)

    with pytest.raises(Unanswered, match=type(error).__name__):
        await uaa.ask("GET", URL, read)
    assert (uaa.tally.asked, uaa.tally.failed) == (1, 1)


async def test_trouble_is_logged_when_it_begins_and_when_it_ends() -> None:
    statuses = iter([200, 500, 500, 200, 200])

    def picky(status: int, _: bytes) -> int:
        if status != 200:
            raise Unanswered(f"status {status}")
        return status

    uaa = asker(lambda _: reply(next(statuses)))
    with capture_logs() as logs:
        for expected in (True, False, False, True, True):
            if expected:
                await uaa.ask("GET", URL, picky)
            else:
                with pytest.raises(Unanswered):
                    await uaa.ask("GET", URL, picky)

    assert [entry["event"] for entry in logs] == ["authority_fails", "authority_answers_again"]
    assert logs[0]["reason"] == "status 500"
    assert (uaa.tally.asked, uaa.tally.failed) == (5, 2)


async def test_closing_twice_does_no_harm() -> None:
    uaa = asker(lambda _: reply(200))
    await uaa.close()
    await uaa.ask("GET", URL, read)

    await uaa.close()
    await uaa.close()
