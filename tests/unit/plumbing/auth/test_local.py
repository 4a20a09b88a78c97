import pytest

from plumbing.auth import INVALID, NOT_PROVIDED, Access, AccessDenied, Decision, Grant, Readable
from plumbing.auth.local import LocalAuthority, OpenAuthority

GRANTED = Decision(Access.GRANTED)
DENIED = Decision(Access.DENIED, INVALID)
TOKENS = {
    "firehose": Grant(frozenset({"doppler.firehose"}), frozenset(), "1", None),
    "admin": Grant(frozenset({"logs.admin"}), frozenset(), "2", None),
    "app": Grant(frozenset({"source.read"}), frozenset({"app"}), "3", None),
}


class Verifier:
    def verify(self, token: str, now: float) -> Grant:
        assert now == 5.0
        if token not in TOKENS:
            raise AccessDenied("the token does not verify")
        return TOKENS[token]


@pytest.fixture
def authority() -> LocalAuthority:
    return LocalAuthority(Verifier(), now=lambda: 5.0)


@pytest.mark.parametrize(
    ("token", "decision"), [("firehose", GRANTED), ("admin", DENIED), ("app", DENIED), ("bad", DENIED)]
)
async def test_the_firehose_takes_its_scope(authority: LocalAuthority, token: str, decision: Decision) -> None:
    assert await authority.firehose(token) == decision


@pytest.mark.parametrize(
    ("token", "decision"), [("firehose", GRANTED), ("admin", GRANTED), ("app", DENIED), ("bad", DENIED)]
)
async def test_either_scope_makes_an_administrator(authority: LocalAuthority, token: str, decision: Decision) -> None:
    assert await authority.admin(token) == decision


@pytest.mark.parametrize("services", [False, True])
@pytest.mark.parametrize(
    ("token", "source", "decision"),
    [
        ("firehose", "other", GRANTED),
        ("admin", "other", GRANTED),
        ("app", "app", GRANTED),
        ("app", "other", DENIED),
        ("bad", "app", DENIED),
    ],
)
async def test_a_source_is_read_by_those_whose_token_names_it(
    authority: LocalAuthority, token: str, source: str, decision: Decision, services: bool
) -> None:
    assert await authority.source(token, source, services=services) == decision


@pytest.mark.parametrize("token", [None, ""])
async def test_without_a_token_nothing_is_read(authority: LocalAuthority, token: str | None) -> None:
    nothing = Decision(Access.DENIED, NOT_PROVIDED)

    assert await authority.firehose(token) == nothing
    assert await authority.admin(token) == nothing
    assert await authority.source(token, "app") == nothing
    assert await authority.readable(token) == Readable(nothing)


@pytest.mark.parametrize(
    ("token", "readable"),
    [
        ("firehose", Readable(GRANTED, None)),
        ("admin", Readable(GRANTED, None)),
        ("app", Readable(GRANTED, frozenset({"app"}))),
        ("bad", Readable(DENIED)),
    ],
)
async def test_what_may_be_read_is_what_the_token_names(
    authority: LocalAuthority, token: str, readable: Readable
) -> None:
    assert await authority.readable(token) == readable


async def test_no_source_has_another_name(authority: LocalAuthority) -> None:
    assert await authority.named("app", ["web"]) == {}
    assert await OpenAuthority().named(None, ["web"]) == {}


async def test_what_was_verified_is_counted(authority: LocalAuthority) -> None:
    await authority.firehose("firehose")
    await authority.source("bad", "app")
    await authority.close()

    assert authority.counts.readings()["local", "asked"] == 2


@pytest.mark.parametrize("token", [None, "anything"])
async def test_an_open_door_lets_everyone_in(token: str | None) -> None:
    authority = OpenAuthority()

    assert await authority.firehose(token) == GRANTED
    assert await authority.admin(token) == GRANTED
    assert await authority.source(token, "no guid", services=True) == GRANTED
    assert await authority.readable(token) == Readable(GRANTED, None)
    await authority.close()
    assert authority.counts.readings()["open", "asked"] == 4
