"""What the Cloud Controller lists: pages, names with odd characters, and answers that must not be believed."""

import sys
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from plumbing.auth import INVALID, Access, Decision, Readable
from plumbing.auth import listings as module
from plumbing.auth.decisions import GRANTED
from plumbing.auth.listings import MAX_PAGES, Listings
from tests.fakes.exchanges import asker, reply

APP = "a3b1c2d4-0000-1111-2222-333344445555"
NOTHING = {"pagination": {"next": None}, "resources": []}


def page(*guids: str, name: str = "web", following: str | None = None) -> dict[str, Any]:
    return {
        "pagination": {"total_results": 1, "next": {"href": following} if following else None},
        "resources": [{"guid": guid, "name": name, "lifecycle": {"type": "buildpack"}} for guid in guids],
    }


class Capi:
    """Answers by path and query, and knows the time."""

    def __init__(self, answer: Callable[[str], Any], url: str = "https://api.example") -> None:
        self.time = 0.0
        self.seen: list[tuple[str, str]] = []
        self._answer = answer
        asks = asker(self._reply)
        self.tally = asks.tally
        self.subject = Listings(asks, url, cache_s=60.0, max_cached=10, clock=lambda: self.time)

    def _reply(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((str(request.url), request.headers["Authorization"]))
        answer = self._answer(str(request.url).removeprefix("https://api.example"))
        if isinstance(answer, int):
            return reply(answer)
        return reply(200, answer if isinstance(answer, bytes) else orjson.dumps(answer))


def apps(answer: Any) -> Capi:
    """One whose list of apps begins with this; it knows no service instance."""
    return Capi(lambda target: NOTHING if target.startswith("/v3/service_instances") else answer)


async def test_apps_and_service_instances_are_listed_with_the_readers_token() -> None:
    lists = {"/v3/apps?per_page=5000": page("app"), "/v3/service_instances?per_page=5000": page("service")}
    capi = Capi(lists.__getitem__)

    assert await capi.subject.readable("token") == Readable(GRANTED, frozenset({"app", "service"}))
    assert {authorization for _, authorization in capi.seen} == {"bearer token"}


async def test_a_list_goes_on_at_the_next_page() -> None:
    lists = {
        "/v3/apps?per_page=5000": page("1", following="https://api.example/v3/apps?page=2&per_page=5000"),
        "/v3/apps?page=2&per_page=5000": page("2", following="https://API.example:443/v3/apps?page=3"),
        "/v3/apps?page=3": page("3"),
        "/v3/service_instances?per_page=5000": NOTHING,
    }

    assert (await Capi(lists.__getitem__).subject.readable("token")).sources == {"1", "2", "3"}


@pytest.mark.parametrize(
    "href",
    [
        "https://elsewhere.example/v3/apps?page=2",
        "http://api.example/v3/apps?page=2",
        "https://api.example:444/v3/apps?page=2",
        "https://user@api.example/v3/apps?page=2",
        "https://api.example.evil/v3/apps",
        "https://[api.example/v3/apps",
        "//api.example/v3/apps",
        "/v3/apps?page=2",
        "https://api.example/v3/a pps",
        "https://api.example/\r\nHost: x",
        "",
    ],
)
async def test_a_token_does_not_travel_to_another_host(href: str) -> None:
    answer = page("1")
    answer["pagination"]["next"] = {"href": href}
    capi = apps(answer)

    assert (await capi.subject.readable("token")).decision.access is Access.UNKNOWN
    assert len(capi.seen) == 1


async def test_a_list_without_end_is_none() -> None:
    capi = apps(page("1", following="https://api.example/v3/apps?again"))

    readable = await capi.subject.readable("token")

    assert (readable.decision.access, readable.sources) == (Access.UNKNOWN, frozenset())
    assert len(capi.seen) == MAX_PAGES


@pytest.mark.parametrize(
    ("answer", "access"),
    [
        (401, Access.DENIED),
        (403, Access.HIDDEN),
        (404, Access.HIDDEN),
        (302, Access.UNKNOWN),
        (500, Access.UNKNOWN),
        (b"<html>", Access.UNKNOWN),
        (b"{}", Access.UNKNOWN),
        (b'{"pagination":{},"resources":[{"guid":1}]}', Access.UNKNOWN),
        (b'{"pagination":{"next":"https://api.example/"},"resources":[]}', Access.UNKNOWN),
    ],
)
async def test_whatever_is_no_list_opens_nothing(answer: Any, access: Access) -> None:
    capi = apps(answer)

    readable = await capi.subject.readable("token")
    named = await capi.subject.named("token", ["web"])

    assert (readable.decision.access, readable.sources) == (access, frozenset())
    assert isinstance(named, Decision)
    assert named.access is access
    assert capi.tally.failed == 2 * (access is Access.UNKNOWN)


async def test_a_bad_token_is_told_so_in_the_words_of_the_original() -> None:
    assert (await apps(401).subject.readable("token")).decision == Decision(Access.DENIED, INVALID)


async def test_a_page_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAGE_BYTES", 1000)

    assert (await apps(page(*"abc")).subject.readable("token")).sources == {"a", "b", "c"}
    assert (await apps(page(*["x" * 40] * 20)).subject.readable("token")).decision.access is Access.UNKNOWN


async def test_without_a_public_address_nothing_is_listed_and_nothing_has_a_name() -> None:
    capi = Capi(lambda _: NOTHING, url="")

    assert (await capi.subject.readable("token")).decision.access is Access.UNKNOWN
    assert await capi.subject.named("token", ["web"]) == {}
    assert capi.seen == []


async def test_a_list_is_remembered_for_its_reader() -> None:
    capi = apps(page("1"))
    for token in ("a", "a", "b", "a"):
        await capi.subject.readable(token)
    assert (capi.tally.asked, capi.tally.cached) == (4, 2)

    capi.time = 60.0
    await capi.subject.readable("a")
    assert capi.tally.asked == 6


async def test_apps_are_found_by_their_names() -> None:
    capi = apps(
        {**NOTHING, "resources": [{"guid": g, "name": n} for g, n in (("1", "web"), ("2", "api"), ("3", "web"))]}
    )

    assert await capi.subject.named("token", ["web", "api", "other"]) == {
        "web": frozenset({"1", "3"}),
        "api": frozenset({"2"}),
    }
    assert capi.seen == [("https://api.example/v3/apps?names=api,other,web&per_page=5000", "bearer token")]


async def test_an_app_that_was_not_asked_about_is_not_found() -> None:
    assert await apps(page("1", name="another")).subject.named("token", ["web"]) == {}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a,b", "a%252Cb"),
        ('"a"', "%2522a%2522"),
        ("a&names=b", "a%2526names%253Db"),
        ("a%2Cb", "a%25252Cb"),
        ("a b", "a%2520b"),
        ("ä", "%25C3%25A4"),
        ("#", "%2523"),
    ],
)
async def test_a_name_is_one_name_whatever_is_in_it(name: str, written: str) -> None:
    capi = apps(page("1", name=name))

    assert await capi.subject.named("token", [name]) == {name: frozenset({"1"})}
    assert capi.seen[0][0] == f"https://api.example/v3/apps?names={written}&per_page=5000"


async def test_what_can_be_no_name_is_not_asked_about() -> None:
    capi = apps(page("1"))

    assert await capi.subject.named("token", ["", APP, "x" * 256]) == {}
    assert capi.seen == []


@pytest.mark.parametrize(("names", "questions"), [(100, 1), (101, 2), (250, 3)])
async def test_a_hundred_names_make_a_question(names: int, questions: int) -> None:
    capi = apps(NOTHING)

    await capi.subject.named("token", [str(number) for number in range(names)])

    assert len(capi.seen) == questions


async def test_a_question_is_no_longer_than_what_proxies_take() -> None:
    capi = apps(NOTHING)

    await capi.subject.named("token", [f"{number}{'ä' * 200}" for number in range(20)])

    assert all(len(url) < 8000 for url, _ in capi.seen)


async def test_names_that_no_app_has_are_not_kept() -> None:
    capi, name = apps(page("1")), "x" * 250
    before = sys.getrefcount(name)

    await capi.subject.named("token", [name])

    assert sys.getrefcount(name) == before


async def test_names_are_remembered_together() -> None:
    capi = apps(page("1"))
    for names in (["web", "api"], ["api", "web"], ["web"]):
        await capi.subject.named("token", names)

    assert (capi.tally.asked, capi.tally.cached) == (2, 1)
