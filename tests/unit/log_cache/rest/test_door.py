"""Reads and metadata through the door: who is let in, what is answered, and what the log and the counts say of it."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
import structlog.testing
import trio
import trio.testing

from log_cache.rest import reader as reader_module
from plumbing.auth import Access, Decision
from plumbing.grpc_client import PeerUnavailable
from tests.unit.log_cache.rest.fakes import MINE, THEIRS, Visitor


@pytest.fixture
async def visitor() -> Visitor:
    visitor = Visitor()
    visitor.reads.put(MINE, b"1", b"2", b"3")
    visitor.reads.put(THEIRS, b"4")
    return visitor


async def test_an_admin_reads_any_source(visitor: Visitor) -> None:
    assert await visitor.ask(f"/api/v1/read/{THEIRS}") == 200
    assert visitor.payloads == ["NA=="]
    assert visitor.authority.asked == []
    assert visitor.headers["content-type"] == "application/json"
    assert visitor.body.endswith(b"\n")


async def test_others_read_what_is_theirs(visitor: Visitor) -> None:
    assert await visitor.ask(f"/api/v1/read/{MINE}?limit=2", "mine") == 200
    assert visitor.payloads == ["MQ==", "Mg=="]
    assert await visitor.ask(f"/api/v1/read/{THEIRS}", "mine") == 404


@pytest.mark.parametrize("token", [None, "bad"])
@pytest.mark.parametrize("access", [Access.DENIED, Access.HIDDEN, Access.UNKNOWN])
@pytest.mark.parametrize("target", [f"read/{MINE}", "read/", "meta", "query?query=up", "label/source_id/values"])
async def test_every_refusal_of_access_is_404_with_an_empty_body(
    visitor: Visitor, target: str, access: Access, token: str | None
) -> None:
    visitor.authority.refusal = Decision(access, "why")

    status = await visitor.ask(f"/api/v1/{target}", token)

    if token and target.startswith("query") and access is not Access.UNKNOWN:
        assert status == 400  # nobody is asked about a query that names no source
    else:
        assert (status, visitor.body) == (404, b"")


async def test_a_token_of_which_nobody_knows_what_it_opens_opens_nothing(visitor: Visitor) -> None:
    visitor.authority.refusal = Decision(Access.UNKNOWN)

    assert await visitor.ask(f"/api/v1/read/{MINE}", "mine") == 404
    assert visitor.authority.asked == []


async def test_access_comes_before_parameters(visitor: Visitor) -> None:
    assert await visitor.ask(f"/api/v1/read/{THEIRS}?limit=x", "mine") == 404
    assert await visitor.ask(f"/api/v1/read/{MINE}?limit=x", "mine") == 400
    assert visitor.json["code"] == 3


@pytest.mark.parametrize("source_id", ["a/b", "/", "ä", "a b", "x" * 10_000, "a\nb", "%2F", "?", "../meta"])
async def test_a_source_may_have_any_name(visitor: Visitor, source_id: str) -> None:
    visitor.reads.put(source_id, b"x")

    assert await visitor.ask(f"/api/v1/read/{quote(source_id, safe='/')}") == 200
    assert visitor.payloads == ["eA=="]


async def test_an_answer_says_where_to_read_on(visitor: Visitor) -> None:
    assert await visitor.ask(f"/api/v1/read/{MINE}") == 200
    assert visitor.headers["standpipe-cursor"] == "3"
    assert "standpipe-missed" not in visitor.headers


async def test_a_read_goes_on_from_a_cursor(visitor: Visitor) -> None:
    await visitor.ask(f"/api/v1/read/{MINE}?cursor=1&limit=1")

    assert (visitor.payloads, visitor.headers["standpipe-cursor"]) == (["Mg=="], "2")
    assert (visitor.headers["standpipe-missed"], visitor.headers["standpipe-rest"]) == ("0", "1")


async def test_an_empty_cursor_is_before_the_oldest(visitor: Visitor) -> None:
    await visitor.ask(f"/api/v1/read/{MINE}?cursor=")

    assert len(visitor.payloads) == 3
    assert "standpipe-rest" not in visitor.headers


@pytest.mark.parametrize(("missed", "said"), [(7, "7"), (None, "unknown")])
async def test_what_was_missed_is_said(visitor: Visitor, missed: int | None, said: str) -> None:
    visitor.reads.missed = missed

    await visitor.ask(f"/api/v1/read/{MINE}?cursor=1")

    assert visitor.headers["standpipe-missed"] == said


async def test_a_cursor_of_no_use_is_the_clients_mistake(visitor: Visitor) -> None:
    assert await visitor.ask(f"/api/v1/read/{MINE}?cursor=x") == 400
    assert visitor.json == {"code": 3, "message": "the cursor is not one of this cache", "details": []}


async def test_a_wait_ends_when_something_arrives(visitor: Visitor) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(visitor.ask, f"/api/v1/read/{MINE}?cursor=3&wait=30")
        await trio.testing.wait_all_tasks_blocked()
        assert visitor.messages == []
        visitor.reads.put(MINE, b"x")

    assert visitor.payloads == ["eA=="]


async def test_a_wait_ends_with_the_process(visitor: Visitor) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(visitor.ask, f"/api/v1/read/{MINE}?cursor=3&wait=30")
        await trio.testing.wait_all_tasks_blocked()
        visitor.door.stop()

    assert (visitor.messages[0]["status"], visitor.payloads, visitor.headers["standpipe-cursor"]) == (200, [], "3")


async def test_a_client_that_leaves_is_waited_for_no_longer(visitor: Visitor) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(visitor.ask, f"/api/v1/read/{MINE}?cursor=3&wait=30")
        await trio.testing.wait_all_tasks_blocked()
        visitor.gone.set()

    assert visitor.messages == []
    assert visitor.door.counts.requests == {("read", "gone"): 1}


async def test_what_is_too_large_for_a_client_of_the_original_is_said_in_its_words(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MAX_BATCH_BYTES", 10)

    assert await visitor.ask(f"/api/v1/read/{MINE}") == 429
    assert visitor.json["message"].startswith("grpc: received message larger than max")


async def test_clients_together_hold_no_more_than_a_bound() -> None:
    visitor = Visitor({"max_unsent_bytes": 100})
    visitor.reads.put(MINE, b"x" * 100)

    with visitor.door.holding(1):
        assert await visitor.ask(f"/api/v1/read/{MINE}") == 429
    assert [await visitor.ask(f"/api/v1/read/{MINE}") for _ in range(2)] == [200, 200]  # alone, one may be of any size


async def test_answers_that_are_no_reads_are_held_to_the_bound_too() -> None:
    visitor = Visitor({"max_unsent_bytes": 100})

    with visitor.door.holding(90):
        assert await visitor.ask("/api/v1/query?query=1") == 429
    assert await visitor.ask("/api/v1/query?query=1") == 200


async def test_a_large_answer_is_written_in_a_thread(visitor: Visitor) -> None:
    visitor.reads.put("large", b"x" * 50_000)

    assert await visitor.ask("/api/v1/read/large") == 200
    assert len(visitor.payloads[0]) > 50_000


async def test_a_fault_of_ours_is_an_answer_without_its_words(visitor: Visitor) -> None:
    visitor.reads.fault = RuntimeError("a secret")

    with structlog.testing.capture_logs() as lines:
        assert await visitor.ask(f"/api/v1/read/{MINE}") == 500
    assert visitor.json == {"code": 13, "message": "internal error", "details": []}
    assert [line["event"] for line in lines] == ["rest_request_failed", "rest_request"]


async def test_an_admin_is_shown_every_source(visitor: Visitor) -> None:
    assert await visitor.ask("/api/v1/meta?local_only=true") == 200
    assert visitor.json["meta"].keys() == {MINE, THEIRS}
    assert visitor.reads.local_only is True


async def test_others_are_shown_theirs(visitor: Visitor) -> None:
    assert await visitor.ask("/api/v1/meta", "mine") == 200
    assert visitor.json == {"meta": {MINE: {"count": "3", "oldestTimestamp": "1", "newestTimestamp": "2"}}}


async def test_without_a_token_at_an_open_door_metadata_has_the_gateway_s_form(visitor: Visitor) -> None:
    visitor.authority.is_open = True

    assert await visitor.ask("/api/v1/meta", None) == 200
    assert visitor.json["meta"][THEIRS]["oldest_timestamp"] == "1"


async def test_everybody_may_know_the_version(visitor: Visitor) -> None:
    assert await visitor.ask("/api/v1/info", None) == 200
    assert visitor.json["version"] == "3.2.0"


@pytest.mark.parametrize("path", ["/", "/v1/meta", f"/v1/read/{MINE}", "/api/v1/nothing"])
async def test_other_paths_are_not_found(visitor: Visitor, path: str) -> None:
    assert await visitor.ask(path) == 404
    assert visitor.json["code"] == 5


async def test_a_wrong_method_is_not_allowed(visitor: Visitor) -> None:
    assert await visitor.ask(f"/api/v1/read/{MINE}", method="POST") == 405
    assert visitor.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_whoever_asks_for_the_methods_is_told_them(visitor: Visitor) -> None:
    assert await visitor.ask("/api/v1/query", None, method="OPTIONS") == 204
    assert visitor.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_whoever_asks_for_the_head_of_a_stream_is_given_that_of_a_read(visitor: Visitor) -> None:
    assert await visitor.ask(f"/api/v1/read/{MINE}", method="HEAD", headers={"accept": "text/event-stream"}) == 200
    assert visitor.headers["content-type"] == "application/json"


async def test_no_answer_is_kept_on_the_way(visitor: Visitor) -> None:
    await visitor.ask(f"/api/v1/read/{MINE}")

    assert visitor.headers["cache-control"] == "no-store"


async def test_a_request_may_take_so_long_and_the_next_one_too(visitor: Visitor) -> None:
    await visitor.ask("/api/v1/info")
    assert visitor.connection.seconds == 120

    visitor.connection.seconds = 3
    await visitor.ask("/api/v1/info")
    assert visitor.connection.seconds == 120


async def test_a_connection_that_was_cut_is_kept_for_no_further_request(visitor: Visitor) -> None:
    visitor.connection.is_open = False

    await visitor.ask("/api/v1/info")

    assert visitor.connection.seconds == 1


async def test_a_websocket_is_turned_away(visitor: Visitor) -> None:
    await visitor.ask("/api/v1/info", type="websocket")

    assert visitor.messages == [{"type": "websocket.close", "code": 1000}]


async def test_requests_are_counted_by_what_they_ask_for_and_how_it_went(visitor: Visitor) -> None:
    for target, token in (("info", None), ("info", None), (f"read/{MINE}", "other"), ("x", None)):
        await visitor.ask(f"/api/v1/{target}", token)

    assert visitor.door.counts.requests == {("info", "2xx"): 2, ("read", "4xx"): 1, ("other", "4xx"): 1}


async def test_each_request_is_one_line_in_the_log(visitor: Visitor) -> None:
    headers = {"user-agent": "cf", "referer": "https://page/?token=SECRET"}
    with structlog.testing.capture_logs() as lines:
        await visitor.ask(f"/api/v1/read/{MINE}?limit=1&token=SECRET", "SECRET", headers=headers)

    (line,) = lines
    assert 0 <= line.pop("duration_s") < 10
    assert line == {
        "event": "rest_request",
        "log_level": "info",
        "remote": "192.0.2.1:99",
        "method": "GET",
        "target": f"/api/v1/read/{MINE}?limit=1",
        "protocol": "HTTP/1.1",
        "status": 404,
        "bytes": 0,
        "referer": "https://page/",
        "user_agent": "cf",
    }


async def test_what_a_client_sends_is_logged_up_to_a_length(visitor: Visitor) -> None:
    with structlog.testing.capture_logs() as lines:
        await visitor.ask(f"/api/v1/read/{'x' * 10_000}?name_filter={'y' * 10_000}", headers={"user-agent": "z" * 9000})

    assert len(str(lines)) < 5000


async def test_the_door_is_empty_when_everybody_has_their_answer(visitor: Visitor) -> None:
    done: list[str] = []

    async def ask() -> None:
        await visitor.ask("/api/v1/info")
        done.append("answer")

    async def wait() -> None:
        await visitor.door.empty()
        done.append("empty")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(0)
        nursery.start_soon(wait)

    assert sorted(done) == ["answer", "empty"]


def events(visitor: Visitor) -> list[str]:
    return [each for each in visitor.body.decode().split("\n\n") if each]


SSE: Mapping[str, str] = {"accept": "text/event-stream"}


@pytest.fixture
def follow(visitor: Visitor) -> Any:
    return partial(visitor.ask, f"/api/v1/read/{MINE}", headers=SSE)


async def test_a_stream_begins_now(visitor: Visitor, follow: Any) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await trio.testing.wait_all_tasks_blocked()
        assert visitor.door.counts.streams == 1
        visitor.reads.put(MINE, b"x")
        await trio.testing.wait_all_tasks_blocked(0.05)
        visitor.door.stop()

    assert visitor.headers["content-type"] == "text/event-stream"
    place, data = events(visitor)
    assert place == "id: 3"
    assert data.startswith("id: 4\ndata: ")
    assert json.loads(data.partition("data: ")[2])["batch"][0]["log"]["payload"] == "eA=="
    assert (visitor.door.counts.streams, visitor.door.counts.events) == (0, 1)


async def test_others_follow_what_is_theirs(visitor: Visitor) -> None:
    visitor.door.stop()

    assert await visitor.ask(f"/api/v1/read/{THEIRS}", "mine", headers=SSE) == 404
    assert await visitor.ask(f"/api/v1/read/{MINE}", "mine", headers=SSE) == 503


async def test_there_are_so_many_streams_and_no_more() -> None:
    visitor = Visitor({"max_streams": 1})
    visitor.door.counts.streams = 1

    assert await visitor.ask(f"/api/v1/read/{MINE}", headers=SSE) == 503
    assert visitor.json["code"] == 14


@pytest.mark.parametrize("query", ["start_time=1", "endTime=0", "descending=false"])
async def test_times_do_not_go_with_a_stream(visitor: Visitor, query: str) -> None:
    assert await visitor.ask(f"/api/v1/read/{MINE}?{query}", headers=SSE) == 400


async def test_a_stream_that_cannot_begin_is_refused(visitor: Visitor) -> None:
    assert await visitor.ask(f"/api/v1/read/{MINE}?cursor=x", headers=SSE) == 400
    assert visitor.door.counts.streams == 0


async def test_a_stream_that_cannot_go_on_is_broken_off(visitor: Visitor, follow: Any) -> None:
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await trio.testing.wait_all_tasks_blocked()
            visitor.reads.fault = PeerUnavailable("away")
            visitor.reads.put(MINE, b"x")

    assert not visitor.connection.is_open
    assert [message.get("status") for message in visitor.messages if "status" in message] == [200]


async def test_a_stream_may_last(visitor: Visitor, follow: Any, autojump_clock: trio.testing.MockClock) -> None:
    await follow()

    assert visitor.connection.seconds == 900
    assert trio.current_time() == pytest.approx(840, abs=1)
