"""What is answered with a body: from a log cache, from none, or not at all."""

import asyncio

from envelope.pb import dropsonde_pb2 as v1
from tests.noaa import parts_of
from traffic_controller.doors import Door, Endpoint
from traffic_controller.http_errands import _MAX_TURNS, Errands
from traffic_controller.http_messages import NOT_FOUND, Answer, Request
from traffic_controller.log_cache_client import LogCache, LogCacheFailed

REQUEST = Request("GET", "/")


class FakeLogCache(LogCache):
    """Always fails."""

    def __init__(self) -> None:
        self.closed = False

    async def newest(
        self, source_id: str, kind: str, *, limit: int, token: str | None, since_ns: int = 0
    ) -> list[v1.Envelope]:
        raise LogCacheFailed(f"no {kind} of {source_id} for {token}")

    async def close(self) -> None:
        self.closed = True


def door(endpoint: Endpoint) -> Door:
    return Door(endpoint, "app", {})


def answer(errands: Errands, endpoint: Endpoint, token: str = "t") -> Answer:
    return asyncio.run(errands.answer(door(endpoint), REQUEST, b"", token))


def parts(answered: Answer) -> list[v1.Envelope]:
    assert answered.status == 200
    found = parts_of(dict(answered.headers)["Content-Type"], answered.body)
    return [v1.Envelope.FromString(each) for each in found]


def test_without_a_log_cache_recent_logs_are_one_line_that_says_so() -> None:
    [envelope] = parts(answer(Errands(None, ""), Endpoint.RECENT_LOGS))

    assert envelope.logMessage.message.startswith(b"recent log endpoint requires a log cache")


def test_without_a_log_cache_there_are_no_container_metrics_rather_than_made_up_ones() -> None:
    assert parts(answer(Errands(None, ""), Endpoint.CONTAINER_METRICS)) == []


def test_a_log_cache_that_fails_is_an_internal_error_that_says_so_and_is_counted() -> None:
    errands = Errands(FakeLogCache(), "")

    for endpoint, words in ((Endpoint.RECENT_LOGS, b"no LOG"), (Endpoint.CONTAINER_METRICS, b"no GAUGE")):
        failed = answer(errands, endpoint)
        assert (failed.status, failed.body) == (500, words + b" of app for t")
    assert errands.log_cache_failures == 2


def test_there_are_turns_for_so_many_that_ask_a_log_cache() -> None:
    errands = Errands(None, "")
    taken = [errands.turn(door(Endpoint.RECENT_LOGS)) for _ in range(_MAX_TURNS)]
    assert all(turn.__enter__() for turn in taken)

    with errands.turn(door(Endpoint.CONTAINER_METRICS)) as has_turn:
        assert not has_turn
    with errands.turn(door(Endpoint.SET_COOKIE)) as has_turn:
        assert has_turn
    taken[0].__exit__(None, None, None)
    with errands.turn(door(Endpoint.CONTAINER_METRICS)) as has_turn:
        assert has_turn


def test_a_cookie_needs_nobody() -> None:
    assert answer(Errands(None, ""), Endpoint.SET_COOKIE).status == 400


def test_a_stream_is_no_errand() -> None:
    assert answer(Errands(None, ""), Endpoint.STREAM) is NOT_FOUND


def test_the_log_cache_is_let_go_of() -> None:
    cache = FakeLogCache()

    asyncio.run(Errands(cache, "").close())

    assert cache.closed
