import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from plumbing.auth import INVALID, Access, Decision
from plumbing.auth.check_token import CheckToken, digest
from tests.fakes.exchanges import asker, reply

DENIED = Decision(Access.DENIED, INVALID)


class Uaa:
    """Answers as told, and knows the time."""

    def __init__(self, *, cache_s: float = 60.0) -> None:
        self.time = 1_000.0
        self.status = 200
        self.body: bytes = said("doppler.firehose")
        self.tokens: list[str] = []
        self.asker = asker(self.answer)
        self.tally = self.asker.tally
        self.subject = CheckToken(
            self.asker,
            "https://uaa.example/uaa",
            ("doppler", "secret"),
            cache_s=cache_s,
            max_cached=10,
            now=lambda: self.time,
            clock=lambda: self.time - 900,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/uaa/check_token")
        self.tokens += parse_qs(request.content.decode())["token"]
        return reply(self.status, self.body)


def said(*scopes: str, **more: Any) -> bytes:
    return json.dumps({"scope": scopes, **more}).encode()


@pytest.fixture
def uaa() -> Iterator[Uaa]:
    return Uaa()


async def test_a_good_token_has_the_scopes_that_matter_here(uaa: Uaa) -> None:
    uaa.body = said("openid", "logs.admin", "doppler.firehose", "cloud_controller.read")

    assert await uaa.subject.scopes("token") == {"doppler.firehose", "logs.admin"}
    assert uaa.tokens == ["token"]


async def test_a_token_without_scopes_is_good_all_the_same(uaa: Uaa) -> None:
    uaa.body = said()

    assert await uaa.subject.scopes("token") == frozenset()


@pytest.mark.parametrize(("status", "body"), [(400, b"{}"), (200, said("doppler.firehose", active=False))])
async def test_a_bad_token_is_denied(uaa: Uaa, status: int, body: bytes) -> None:
    uaa.status, uaa.body = status, body

    assert await uaa.subject.scopes("token") == DENIED


@pytest.mark.parametrize("status", [201, 204, 301, 401, 403, 404, 429, 500, 503])
async def test_any_other_status_is_no_answer(uaa: Uaa, status: int) -> None:
    uaa.status = status

    decision = await uaa.subject.scopes("token")

    assert isinstance(decision, Decision)
    assert decision.access is Access.UNKNOWN
    assert str(status) in decision.reason


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"scope": "doppler.firehose"}',
        b'{"scope": [5]}',
        b'{"scope": {"doppler.firehose": 1}}',
        b'{"scope": ["doppler.firehose"], "exp": "soon"}',
        b'{"scope": ["doppler.firehose"], "exp": 1e999}',
        b'{"scope": ["doppler.firehose"], "exp": ' + b"9" * 400 + b"}",
        b'{"scope": ["doppler.firehose"]',
    ],
)
async def test_nonsense_is_no_answer(uaa: Uaa, body: bytes) -> None:
    uaa.body = body

    decision = await uaa.subject.scopes("token")

    assert isinstance(decision, Decision)
    assert decision.access is Access.UNKNOWN
    assert uaa.tally.failed == 1


async def test_a_yes_is_remembered_for_a_while(uaa: Uaa) -> None:
    for wait in (0.0, 59.0, 0.9, 0.2):
        uaa.time += wait
        await uaa.subject.scopes("token")

    assert (uaa.tally.asked, uaa.tally.cached) == (2, 2)


async def test_no_longer_than_the_token_is_good(uaa: Uaa) -> None:
    uaa.body = said("doppler.firehose", exp=uaa.time + 10)
    await uaa.subject.scopes("token")
    uaa.status = 400

    uaa.time += 9.9
    assert await uaa.subject.scopes("token") == {"doppler.firehose"}
    uaa.time += 0.2
    assert await uaa.subject.scopes("token") == DENIED


async def test_while_the_uaa_is_gone_a_yes_serves_until_its_time(uaa: Uaa) -> None:
    await uaa.subject.scopes("token")
    uaa.status = 503

    uaa.time += 59
    assert await uaa.subject.scopes("token") == {"doppler.firehose"}
    uaa.time += 2
    decision = await uaa.subject.scopes("token")
    assert isinstance(decision, Decision)
    assert decision.access is Access.UNKNOWN


async def test_a_flood_of_one_bad_token_does_not_reach_the_uaa(uaa: Uaa) -> None:
    uaa.status = 400
    for _ in range(100):
        assert await uaa.subject.scopes("bad") == DENIED

    assert uaa.tally.asked == 1
    uaa.time += 2
    await uaa.subject.scopes("bad")
    assert uaa.tally.asked == 2


async def test_with_no_time_to_remember_every_token_is_asked_about() -> None:
    uaa = Uaa(cache_s=0.0)
    for _ in range(3):
        await uaa.subject.scopes("token")

    assert uaa.tally.asked == 3


async def test_each_token_is_asked_about(uaa: Uaa) -> None:
    await uaa.subject.scopes("one")
    await uaa.subject.scopes("other")

    assert uaa.tokens == ["one", "other"]


def test_a_digest_says_nothing_of_the_token() -> None:
    assert len(digest("token")) == 32
    assert b"token" not in digest("token")
    assert digest("token") != digest("Token")
