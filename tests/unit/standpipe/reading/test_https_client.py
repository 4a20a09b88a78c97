"""What goes wrong with servers, and what they say of it; how they are reached is tested with each client."""

import httpx
import pytest
import trio

from standpipe.reading.https_client import (
    ServerRefused,
    ServerUnavailable,
    body_of,
    check,
    making_sense,
    translated,
    words_of,
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"code":2,"message":"limit (5000) must be 1000 or less","details":[]}', "limit (5000) must be 1000 or less"),
        (b'{"status":"error","errorType":"internal","error":"query timed out"}', "query timed out"),
        (b"Metrics not available\n", "Metrics not available"),
        (b'{"error":{"code":"syntax","message":"a quote is open","column":3}}', "a quote is open"),
        (b"[]", "[]"),
        (b"", ""),
    ],
)
def test_the_words_of_a_refusal_are_found_in_whatever_form(content: bytes, words: str) -> None:
    assert words_of(content) == words


@pytest.mark.parametrize(("status", "retry"), [(400, False), (404, False), (429, True), (500, True), (503, True)])
def test_what_was_refused_for_now_may_be_had_later(status: int, retry: bool) -> None:
    assert ServerRefused(status, "").retry is retry


async def test_a_good_answer_is_read_and_a_refusal_keeps_all_that_was_said() -> None:
    good = httpx.Response(200, stream=httpx.ByteStream(b"yes"))
    await check(good)
    assert await body_of(good) == b"yes"

    with pytest.raises(ServerRefused, match=r"no \(HTTP 400\)") as refused:
        await check(httpx.Response(400, stream=httpx.ByteStream(b'{"error":{"message":"no"}}')))
    assert (refused.value.status, refused.value.body) == (400, b'{"error":{"message":"no"}}')


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (trio.TooSlowError(), "no answer within 5 s"),
        (httpx.ReadTimeout(""), "nothing was heard for too long"),
        (httpx.ConnectError("refused"), "refused"),
    ],
)
def test_what_happens_on_the_way_is_an_error_of_ours(failure: Exception, said: str) -> None:
    with pytest.raises(ServerUnavailable, match=said), translated(5.0):
        raise failure


@pytest.mark.parametrize("failure", [ValueError, KeyError, TypeError, IndexError])
def test_what_cannot_be_read_makes_no_sense(failure: type[Exception]) -> None:
    with pytest.raises(ServerUnavailable, match="makes no sense"), making_sense():
        raise failure
