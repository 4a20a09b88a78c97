"""Whose sources a query may read, whatever it calls them: the rules of the original's proxy (loggregator.md 4.5)."""

import json

import pytest

from log_cache.rest import access
from log_cache.rest.access import Gate, Passed
from plumbing.auth import Access, Decision
from plumbing.http.refusal import Refusal
from tests.unit.log_cache.rest.fakes import ALSO_MINE, MINE, THEIRS, FakeAuthority


@pytest.fixture
def authority() -> FakeAuthority:
    return FakeAuthority()


@pytest.fixture
def gate(authority: FakeAuthority) -> Gate:
    return Gate(authority)  # type: ignore[arg-type]  # a fake


def sources(passed: Passed) -> list[tuple[str, ...]]:
    return [query.sources() for query in passed.queries]


async def refusal(gate: Gate, token: str | None, *texts: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await gate.queries(token, texts)
    return caught.value


async def test_a_source_of_mine_may_be_queried(gate: Gate) -> None:
    passed = await gate.queries("mine", [f'http{{source_id="{MINE}"}}'])

    assert sources(passed) == [(MINE,)]
    assert not passed.everything


@pytest.mark.parametrize(
    "text",
    [
        f'http{{source_id="{THEIRS}"}}',
        f'http{{source_id=~"{MINE}|{THEIRS}"}}',
        f'http{{source_id="{MINE}"}} + http{{source_id="{THEIRS}"}}',
        f'sum(rate(http{{source_id="{MINE}"}}[1m] offset 1m)) / scalar(cpu{{source_id="{THEIRS}"}})',
        'http{source_id="unknown"}',
    ],
)
async def test_a_source_of_others_does_not_exist(gate: Gate, text: str) -> None:
    hidden = await refusal(gate, "mine", text)

    assert (hidden.status, hidden.body) == (404, b"")


@pytest.mark.parametrize(
    "text",
    [
        "up",
        "1 + 1",
        '{instance_id="0"}',
        'up{source_id!="x"}',
        'up{source_id=~".*"}',
        'up{source_id!~"x"}',
        'up{source_id=""}',
        f'up{{source_id="{MINE}"}} + up',
        f'up{{source_id="{MINE}"}} + {{instance_id="0"}}',
        f'up{{source_id="{MINE}"}} or {{__name__=~".+"}}',
        f'up{{source_id="{MINE}"}} + up{{source_id=~".*"}}',
        f'up{{source_id="{MINE}"}} or up{{source_id=~"{MINE}|.+"}}',
    ],
)
async def test_others_must_name_the_sources_of_every_metric(gate: Gate, text: str) -> None:
    bad = await refusal(gate, "mine", text)

    assert bad.status == 400
    assert json.loads(bad.body) == {
        "status": "error",
        "errorType": "bad_data",
        "error": "query does not request any source_ids",
    }


@pytest.mark.parametrize("token", ["mine", "admin"])
async def test_what_is_no_query_is_told_so(gate: Gate, token: str) -> None:
    bad = await refusal(gate, token, "sum(")

    assert (bad.status, json.loads(bad.body)["errorType"]) == (400, "bad_data")


async def test_an_admin_need_not_name_a_source(gate: Gate) -> None:
    passed = await gate.queries("admin", ["up", "1 + 1"])

    assert (sources(passed), passed.everything) == ([(), ()], True)


async def test_an_admin_may_query_any(gate: Gate, authority: FakeAuthority) -> None:
    assert sources(await gate.queries("admin", [f'up{{source_id="{THEIRS}"}}'])) == [(THEIRS,)]
    assert authority.asked == []


async def test_without_a_token_there_is_nothing(gate: Gate) -> None:
    assert (await refusal(gate, None, "sum(")).status == 404


async def test_at_an_open_door_there_is_everything(gate: Gate, authority: FakeAuthority) -> None:
    authority.is_open = True

    assert (await gate.queries(None, ["up"])).everything


async def test_an_app_s_name_is_every_app_of_that_name_and_itself(gate: Gate, authority: FakeAuthority) -> None:
    passed = await gate.queries("admin", ['up{source_id="web"}'])

    assert sources(passed) == [tuple(sorted([MINE, ALSO_MINE, THEIRS, "web"]))]
    assert authority.looked_up == ["web"]


async def test_of_those_only_mine_are_read_by_me(gate: Gate) -> None:
    passed = await gate.queries("mine", [f'up{{source_id=~"web|{MINE}"}}'])

    assert sources(passed) == [(MINE, ALSO_MINE)]


async def test_a_name_of_which_nothing_is_mine_does_not_exist(gate: Gate, authority: FakeAuthority) -> None:
    authority.names = {"web": frozenset({THEIRS})}

    assert (await refusal(gate, "mine", 'up{source_id="web"}')).status == 404


@pytest.mark.parametrize("token", ["mine", "admin"])
async def test_when_nobody_can_say_whose_name_it_is_nothing_is_read(
    gate: Gate, authority: FakeAuthority, token: str
) -> None:
    authority.names = Decision(Access.UNKNOWN)

    assert (await refusal(gate, token, 'up{source_id="web"}')).status == 404


async def test_each_source_is_asked_about_once(gate: Gate, authority: FakeAuthority) -> None:
    await gate.queries("mine", [f'up{{source_id="{MINE}"}} + down{{source_id="{MINE}"}}'] * 3)

    assert authority.asked == [MINE]


async def test_a_query_names_so_many_sources_at_most(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "MAX_SOURCES", 2)

    assert (await refusal(gate, "admin", 'up{source_id=~"a|b|c"}')).status == 400
    assert (await refusal(gate, "mine", 'up{source_id="web"}')).status == 400


async def test_a_request_has_so_many_selectors_at_most(gate: Gate) -> None:
    assert (await refusal(gate, "admin", *["up"] * 101)).status == 400


async def test_all_there_is_is_all_of_mine(gate: Gate) -> None:
    async def held() -> list[str]:
        return [MINE, THEIRS]

    assert await gate.any_of("admin", held) == Passed((), everything=True)
    mine = await gate.any_of("mine", held)
    assert (sources(mine), mine.everything) == ([(MINE,)], False)
    assert mine.queries[0].without_source() is None


async def test_who_has_nothing_that_is_held_asks_for_nothing(gate: Gate) -> None:
    async def held() -> list[str]:
        return [THEIRS]

    nothing = await gate.any_of("mine", held)

    assert (sources(nothing), nothing.queries[0].without_source()) == ([()], None)


async def test_what_may_be_read_at_all_is_listed(gate: Gate) -> None:
    assert await gate.sources("admin") is None
    assert await gate.sources("mine") == {MINE, ALSO_MINE}
    with pytest.raises(Refusal):
        await gate.sources("other")


@pytest.mark.parametrize(("token", "source_id"), [("admin", THEIRS), ("mine", MINE)])
async def test_a_source_is_read_by_its_readers(gate: Gate, token: str, source_id: str) -> None:
    await gate.source(token, source_id)


async def test_a_source_is_read_by_nobody_else(gate: Gate) -> None:
    with pytest.raises(Refusal):
        await gate.source("mine", THEIRS)
