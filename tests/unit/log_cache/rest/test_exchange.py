"""One request and its answer: what is sent, what is counted. The line in the log is tested at the door."""

from typing import Any

import pytest
import structlog.testing
from starlette.responses import Response

from log_cache.rest.exchange import Exchange, RestCounts
from log_cache.rest.refusals import Code, error, hidden


class Sent(list[Any]):
    async def __call__(self, message: Any) -> None:
        self.append(message)


def exchange(sent: Sent, **headers: str) -> Exchange:
    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/api/v1/info",
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": None,
    }
    return Exchange(scope, sent)


async def test_a_token_is_found() -> None:
    assert exchange(Sent(), authorization="Bearer abc").token == "abc"
    assert exchange(Sent()).token is None


async def test_an_answer_is_sent_whole() -> None:
    sent = Sent()
    subject = exchange(sent)
    assert not subject.has_begun

    await subject.answer(Response(b"{}", media_type="application/json"))

    start, body = sent
    assert subject.has_begun
    assert dict(start["headers"]) == {
        b"content-length": b"2",
        b"content-type": b"application/json",
        b"cache-control": b"no-store",
    }
    assert body == {"type": "http.response.body", "body": b"{}"}


async def test_a_refusal_has_its_headers() -> None:
    sent = Sent()

    await exchange(sent).refuse(error(Code.UNAVAILABLE, "why", headers={"Retry-After": "1"}))

    assert sent[0]["status"] == 503
    assert dict(sent[0]["headers"])[b"retry-after"] == b"1"


async def test_a_refusal_of_access_has_no_type() -> None:
    sent = Sent()

    await exchange(sent).refuse(hidden())

    assert b"content-type" not in dict(sent[0]["headers"])
    assert dict(sent[0]["headers"])[b"content-length"] == b"0"


@pytest.mark.parametrize(("status", "counted"), [(200, "2xx"), (404, "4xx"), (503, "5xx"), (None, "gone")])
async def test_it_is_counted_by_the_class_of_its_status(status: int | None, counted: str) -> None:
    counts, subject = RestCounts(), exchange(Sent())
    if status:
        await subject.answer(Response(b"", status))

    with structlog.testing.capture_logs() as lines:
        subject.conclude(counts)

    assert counts.requests == {("other", counted): 1}
    assert (lines[0]["status"], lines[0]["remote"]) == (status or 0, "-")
    assert lines[0]["log_level"] == ("info" if status in (404, 503) else "debug")
