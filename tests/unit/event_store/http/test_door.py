"""The door: who comes in, what they hear who do not, and what is held for those who take their time."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from event_store.http.answers import Answer, Work
from event_store.http.config import HttpSettings
from event_store.http.door import Door
from event_store.http.missed import Missed
from event_store.http.refusals import ApiError
from event_store.http.runs import Job
from event_store.http.tails import Tails
from plumbing.auth import Access, Decision, Readable
from plumbing.http.refusal import Refusal
from tests.unit.event_store.http.exchanges import Visit


class FakeAuthority:
    """Knows an `admin`, and somebody who shows `mine`."""

    async def readable(self, token: str | None) -> Readable:
        known = {"admin": None, "mine": frozenset({"web"})}
        if token not in known:
            return Readable(Decision(Access.DENIED))
        return Readable(Decision(Access.GRANTED), known[token])


class FakeAnswers:
    """Answers everything alike, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answer: Callable[[Job], Answer] = lambda _: Answer(b"{}\n")

    def prepare(self, route: str, given: Any, sources: Any, now_ns: int) -> Work:
        self.asked.append((route, dict(given), sources))

        async def work(job: Job) -> Answer:
            await trio.lowlevel.checkpoint()
            return self.answer(job)

        return work

    async def missed(self, filter_: Any, place: int | None, most: int, sources: Any) -> Missed:
        self.asked.append(("missed", place, sources))
        return Missed(20)


class House:
    """A door and what is behind it."""

    def __init__(self) -> None:
        self.answers = FakeAnswers()
        self.tails = Tails(HttpSettings())
        authority: Any = FakeAuthority()
        answers: Any = self.answers
        self.door = Door(HttpSettings(max_unsent_bytes=100), authority, answers, self.tails, query_s=5.0)

    async def ask(self, path: str, **options: Any) -> Visit:
        visit = Visit(path, **options)
        await self.door(visit.scope, visit.receive, visit.send)
        return visit


@pytest.fixture
async def house() -> House:
    return House()


def code_of(visit: Visit) -> tuple[int, str]:
    return visit.status, orjson.loads(visit.body)["error"]["code"]


async def test_who_may_see_what_is_told_to_whoever_answers(house: House) -> None:
    assert (await house.ask("/api/query", query="query=a")).status == 200
    await house.ask("/api/query", query="query=a", token="mine")
    await house.ask("/api/query", method="POST", body=b"query=b", content_type="application/x-www-form-urlencoded")
    assert house.answers.asked == [
        ("query", {"query": "a"}, None),
        ("query", {"query": "a"}, frozenset({"web"})),
        ("query", {"query": "b"}, None),
    ]
    assert house.door.counts.answers == {("query", 200): 3}


@pytest.mark.parametrize("token", [None, "bad"])
async def test_without_a_good_token_nothing_is_asked(house: House, token: str | None) -> None:
    for path in ("query", "tail", "timeseries", "facets", "fields", "stats"):
        assert code_of(await house.ask(f"/api/{path}", token=token, query="nonsense=1")) == (401, "unauthorized")
    assert house.answers.asked == []


async def test_some_routes_are_for_administrators(house: House) -> None:
    assert code_of(await house.ask("/api/stats", token="mine")) == (403, "forbidden")
    assert code_of(await house.ask("/api/sql", method="POST", body=b"sql=x", token="mine")) == (403, "forbidden")
    assert (await house.ask("/api/stats")).status == 200


async def test_a_fault_is_told_without_its_reason(house: House) -> None:
    def fail(_: Job) -> Answer:
        raise ZeroDivisionError("secret")

    house.answers.answer = fail
    visit = await house.ask("/api/query")
    assert code_of(visit) == (500, "internal")
    assert b"secret" not in visit.body


async def test_a_refusal_of_the_store_is_told(house: House) -> None:
    def fail(_: Job) -> Answer:
        raise ApiError("timeout", "it took too long")

    house.answers.answer = fail
    assert code_of(await house.ask("/api/query")) == (504, "timeout")


async def test_what_waits_to_be_sent_is_bounded(house: House) -> None:
    with house.door.holding(60):
        with pytest.raises(Refusal) as refused, house.door.holding(60):
            pass
        assert refused.value.status == 429
    with house.door.holding(1000):  # alone, it goes
        pass


async def test_progress_goes_with_json_alone(house: House) -> None:
    assert code_of(await house.ask("/api/query", query="progress=true&format=csv")) == (400, "syntax")
    assert (await house.ask("/api/query", query="progress=true")).lines[-1] == {"result": {}}


async def test_a_client_that_leaves_is_answered_nothing(house: House) -> None:
    visit = Visit("/api/tail")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.door, visit.scope, visit.receive, visit.send)
        await trio.testing.wait_all_tasks_blocked()
        assert house.tails.counts.open == 1
        visit.left.set()
    assert house.tails.counts.open == 0
    assert house.door.counts.answers == {("tail", 200): 1}


async def test_a_tail_goes_on_where_its_client_says(house: House) -> None:
    for headers in ({"last_event_id": "12"}, {}):
        visit = Visit("/api/tail", token="mine", **headers)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.door, visit.scope, visit.receive, visit.send)
            await trio.testing.wait_all_tasks_blocked()
            visit.left.set()
        assert visit.body == b": heartbeat\n\nid: 20\n\n"
    assert house.answers.asked == [("missed", 12, frozenset({"web"})), ("missed", None, frozenset({"web"}))]
    assert code_of(await house.ask("/api/tail", last_event_id="of another")) == (400, "syntax")


async def test_tails_end_when_the_process_stops(house: House) -> None:
    visit = Visit("/api/tail", token="mine")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.door, visit.scope, visit.receive, visit.send)
        await trio.testing.wait_all_tasks_blocked()
        house.door.stop()
    assert visit.is_whole


async def test_files_are_for_anybody_and_a_head_has_no_body(house: House) -> None:
    page = await house.ask("/", token=None, query="query=whatever")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await house.ask("/", token=None, method="HEAD")).body == b""
    assert (await house.ask("/", token=None, if_none_match=page.headers["etag"])).status == 304
    assert code_of(await house.ask("/static/none.js", token=None)) == (404, "not_found")
    assert (await house.ask("/api/openapi.json", token=None)).headers["content-type"] == "application/json"
