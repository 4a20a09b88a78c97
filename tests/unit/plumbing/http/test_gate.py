"""Who is let in; that every refusal is the door's own."""

from typing import Any

import pytest

from plumbing.auth import Access, Decision, Readable
from plumbing.http.gate import Gate
from plumbing.http.refusal import Refusal

HIDDEN = Refusal(404)


class FakeAuthority:
    """Knows an `admin`, and somebody who shows `mine` and owns one source, `app`."""

    def __init__(self, otherwise: Access) -> None:
        self.otherwise = Decision(otherwise)
        self.asked: list[str] = []

    async def admin(self, token: str | None) -> Decision:
        return Decision(Access.GRANTED) if token == "admin" else self.otherwise

    async def source(self, token: str | None, source_id: str, *, services: bool = False) -> Decision:
        assert services
        self.asked.append(source_id)
        return Decision(Access.GRANTED) if (token, source_id) == ("mine", "app") else self.otherwise

    async def readable(self, token: str | None) -> Readable:
        if token == "admin":
            return Readable(Decision(Access.GRANTED), None)
        return Readable(Decision(Access.GRANTED), frozenset({"app"})) if token == "mine" else Readable(self.otherwise)


def gate_of(authority: Any) -> Gate:
    return Gate(authority, lambda: HIDDEN)


async def test_an_administrator_reads_everything_and_is_asked_about_nothing() -> None:
    authority = FakeAuthority(Access.DENIED)
    gate = gate_of(authority)

    await gate.source("admin", "theirs")

    assert await gate.is_admin("admin")
    assert await gate.sources("admin") is None
    assert authority.asked == []


async def test_others_read_what_is_theirs() -> None:
    gate = gate_of(FakeAuthority(Access.HIDDEN))

    await gate.source("mine", "app")

    assert (await gate.may_read("mine", "app"), await gate.may_read("mine", "theirs")) == (True, False)
    assert await gate.sources("mine") == {"app"}
    with pytest.raises(Refusal) as caught:
        await gate.source("mine", "theirs")
    assert caught.value is HIDDEN


async def test_whoever_may_read_nothing_is_shown_nothing() -> None:
    with pytest.raises(Refusal):
        await gate_of(FakeAuthority(Access.DENIED)).sources("bad")


async def test_a_token_of_which_nobody_knows_what_it_opens_opens_nothing() -> None:
    authority = FakeAuthority(Access.UNKNOWN)

    with pytest.raises(Refusal):
        await gate_of(authority).source("mine", "app")
    with pytest.raises(Refusal):
        await gate_of(authority).is_admin("mine")
    assert authority.asked == []
