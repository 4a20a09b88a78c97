from functools import partial

import httpx
import pytest
import trio

from plumbing.auth import INVALID, Access, Decision
from plumbing.auth.keyring import Rules
from plumbing.auth.token_keys import REFRESH_S, TokenKeys
from tests.fakes.exchanges import asker, reply
from tests.fakes.jwts import NOW, key_list, listed, rsa, signed

DENIED = Decision(Access.DENIED, INVALID)
FIREHOSE = {"doppler.firehose"}


class Uaa:
    """Gives out keys, and knows the time."""

    def __init__(self, *, rules: Rules | None = None, keep_s: float = 60.0) -> None:
        self.time = 0.0
        self.status = 200
        self.body = key_list(listed("one", rsa(1)))
        self.seen: list[httpx.Request] = []
        self.asker = asker(self.answer)
        self.subject = TokenKeys(
            self.asker,
            "https://uaa.example",
            None,
            rules=rules or Rules(),
            keep_s=keep_s,
            now=lambda: NOW + self.time,
            clock=lambda: self.time,
        )
        self.scopes = self.subject.scopes

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return reply(self.status, self.body)

    @property
    def asked(self) -> int:
        return self.asker.tally.asked

    def rotate(self) -> None:
        self.body = key_list(listed("two", rsa(2)))


NEW = partial(signed, key=rsa(2), header={"kid": "two"})


async def access(uaa: Uaa, token: str) -> Access:
    decision = await uaa.scopes(token)
    return decision.access if isinstance(decision, Decision) else Access.GRANTED


async def test_one_question_serves_many_tokens() -> None:
    uaa = Uaa()
    for number in range(10):
        assert await uaa.scopes(signed(jti=str(number), scope=["doppler.firehose", "openid"])) == FIREHOSE

    assert (uaa.asked, uaa.asker.tally.cached) == (1, 10)
    assert (uaa.seen[0].method, str(uaa.seen[0].url)) == ("GET", "https://uaa.example/token_keys")


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b.c", signed(exp=NOW - 1), signed(nbf=NOW + 9), signed(iss="other")]
)
async def test_a_bad_token_is_denied(token: str) -> None:
    assert await Uaa(rules=Rules(issuer="https://uaa.example/oauth/token")).scopes(token) == DENIED


async def test_a_token_expires_though_its_key_does_not() -> None:
    uaa = Uaa()
    token = signed(exp=NOW + 20)

    assert await uaa.scopes(token) == FIREHOSE
    uaa.time = 20.0
    assert await uaa.scopes(token) == DENIED


async def test_an_unknown_key_is_asked_for() -> None:
    uaa = Uaa()
    await uaa.scopes(signed())
    uaa.rotate()
    uaa.time = REFRESH_S

    assert await uaa.scopes(NEW()) == FIREHOSE
    assert await uaa.scopes(signed()) == DENIED


async def test_a_new_key_with_the_old_name_is_asked_for() -> None:
    uaa = Uaa()
    await uaa.scopes(signed())
    uaa.body = key_list(listed("one", rsa(2)))
    uaa.time = REFRESH_S

    assert await uaa.scopes(signed(key=rsa(2))) == FIREHOSE
    assert await uaa.scopes(signed()) == DENIED


async def test_strangers_cannot_make_it_ask_more_often() -> None:
    uaa = Uaa()
    for second in range(11):
        uaa.time = float(second)
        for number in range(5):
            assert await uaa.scopes(signed(header={"kid": f"no-{number}"})) == DENIED
            assert await uaa.scopes(signed(key=rsa(2), jti=str(number))) == DENIED

    assert uaa.asked == 3


async def test_a_token_that_verifies_and_is_denied_asks_for_nothing() -> None:
    uaa = Uaa()
    await uaa.scopes(signed())
    uaa.time = REFRESH_S

    assert await uaa.scopes(signed(exp=NOW)) == DENIED
    assert uaa.asked == 1


async def test_without_keys_nobody_is_let_in_and_nobody_is_denied() -> None:
    uaa = Uaa()
    uaa.status = 503

    assert await access(uaa, signed()) is Access.UNKNOWN
    assert await access(uaa, signed()) is Access.UNKNOWN
    assert uaa.asked == 1
    uaa.status, uaa.time = 200, REFRESH_S
    assert await uaa.scopes(signed()) == FIREHOSE


@pytest.mark.parametrize("body", [b"<html>", b'{"keys": []}', b"{}"])
async def test_nonsense_is_no_answer(body: bytes) -> None:
    uaa = Uaa()
    uaa.body = body

    assert await access(uaa, signed()) is Access.UNKNOWN
    assert uaa.asker.tally.failed == 1


async def test_known_keys_serve_while_the_uaa_is_gone() -> None:
    uaa = Uaa()
    await uaa.scopes(signed())
    uaa.status = 503

    for hour in range(1, 4):
        uaa.time = 3600.0 * hour
        assert await uaa.scopes(signed(exp=NOW + 1e6)) == FIREHOSE
    assert await uaa.scopes(signed(key=rsa(2), exp=NOW + 1e6)) == DENIED
    assert await access(uaa, NEW(exp=NOW + 1e6)) is Access.UNKNOWN


async def test_a_key_that_was_withdrawn_stops_counting() -> None:
    uaa = Uaa(keep_s=30.0)
    await uaa.scopes(signed())
    uaa.rotate()

    uaa.time = 29.0
    assert await uaa.scopes(signed()) == FIREHOSE
    uaa.time = 30.0
    assert await uaa.scopes(signed()) == DENIED
    assert uaa.asked == 2


async def test_an_answer_that_took_long_counts_from_its_end() -> None:
    uaa = Uaa()
    late = uaa.answer

    def answer(request: httpx.Request) -> httpx.Response:
        uaa.time += 10.0
        return late(request)

    uaa.status = 503
    uaa.asker = asker(answer)
    keys = TokenKeys(
        uaa.asker, "https://uaa.example", None, rules=Rules(), keep_s=60.0, now=lambda: NOW, clock=lambda: uaa.time
    )

    await keys.scopes(signed())

    assert uaa.asked == 1


class Slow:
    """A UAA that answers when it is let."""

    def __init__(self) -> None:
        self.go = trio.Event()
        self.asked = 0

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        await self.go.wait()
        return reply(200, key_list(listed("one", rsa(1))))

    def keys(self) -> TokenKeys:
        return TokenKeys(
            asker(self.handle),
            "https://uaa.example",
            None,
            rules=Rules(),
            keep_s=60.0,
            now=lambda: NOW,
            clock=lambda: 0.0,
        )


async def test_many_who_need_keys_at_once_ask_once() -> None:
    uaa = Slow()
    keys, found = uaa.keys(), []

    async def want() -> None:
        found.append(await keys.scopes(signed()))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(want)
        await trio.testing.wait_all_tasks_blocked()
        uaa.go.set()

    assert found == [FIREHOSE] * 5
    assert uaa.asked == 1


async def test_whoever_goes_away_leaves_the_question_to_the_next() -> None:
    uaa = Slow()
    keys, found, gone = uaa.keys(), [], trio.CancelScope()

    async def give_up() -> None:
        with gone:
            await keys.scopes(signed())

    async def want() -> None:
        found.append(await keys.scopes(signed()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(give_up)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(want)
        nursery.start_soon(want)
        await trio.testing.wait_all_tasks_blocked()
        gone.cancel()
        await trio.testing.wait_all_tasks_blocked()
        uaa.go.set()

    assert found == [FIREHOSE] * 2
    assert uaa.asked == 2
