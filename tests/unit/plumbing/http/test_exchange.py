"""One request and its answer: what is sent, who gives up, and what the log says of it."""

from typing import Any

import pytest
import trio
import trio.testing
from starlette.responses import Response

from plumbing.http.exchange import ClientGone, receive_body, shown_query
from plumbing.http.refusal import Refusal
from tests.unit.plumbing.http.visitor import Visitor


async def test_a_token_is_found() -> None:
    assert Visitor(headers={"authorization": "Bearer abc"}).exchange().token == "abc"
    assert Visitor().exchange().token is None


async def test_an_answer_is_sent_whole() -> None:
    visitor = Visitor()
    subject = visitor.exchange(cache_control="no-store")
    assert not subject.has_begun

    await subject.answer(Response(b"{}", media_type="application/json"))

    assert subject.has_begun
    assert visitor.headers == {
        b"content-length": b"2",
        b"content-type": b"application/json",
        b"cache-control": b"no-store",
    }
    assert visitor.told[1] == {"type": "http.response.body", "body": b"{}"}


@pytest.mark.parametrize(("rule", "own", "sent"), [("", None, None), ("no-store", "max-age=60", b"max-age=60")])
async def test_an_answer_may_say_itself_who_keeps_it(rule: str, own: str | None, sent: bytes | None) -> None:
    visitor = Visitor()

    await visitor.exchange(cache_control=rule).answer(Response(b"", headers={"cache-control": own} if own else None))

    assert visitor.headers.get(b"cache-control") == sent


async def test_a_refusal_has_its_headers() -> None:
    visitor = Visitor()

    await visitor.exchange().refuse(Refusal(503, b"{}", {"Retry-After": "1"}))

    assert (visitor.status, visitor.headers[b"retry-after"]) == (503, b"1")


async def test_a_refusal_of_access_has_no_type() -> None:
    visitor = Visitor()

    await visitor.exchange().refuse(Refusal(404))

    assert b"content-type" not in visitor.headers
    assert visitor.headers[b"content-length"] == b"0"


async def test_what_has_begun_is_broken_off_instead_of_refused() -> None:
    visitor = Visitor()
    subject = visitor.exchange()
    await subject.send({"type": "http.response.start", "status": 200, "headers": []})

    await subject.refuse(Refusal(500))

    assert not visitor.connection.is_open
    assert len(visitor.told) == 1


async def test_a_client_that_leaves_is_waited_for_no_longer() -> None:
    visitor = Visitor(b"a body", b"that nobody wants")
    subject = visitor.exchange()

    async def take_long() -> None:
        async with subject.until_gone():
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_long)
        await trio.testing.wait_all_tasks_blocked()
        visitor.gone.set()

    assert subject.status == 0


async def test_what_goes_wrong_meanwhile_comes_out_as_it_is() -> None:
    failure = Refusal(404)

    with pytest.raises(Refusal) as caught:
        async with Visitor().exchange().until_gone():
            raise failure

    assert caught.value is failure


async def test_the_last_piece_is_sent_although_the_client_leaves_with_it() -> None:
    visitor = Visitor()
    subject = visitor.exchange()

    async with subject.until_gone():
        await subject.send({"type": "http.response.start", "status": 200, "headers": []})
        visitor.gone.set()
        await subject.send({"type": "http.response.body", "body": b"x"})

    assert visitor.told[-1]["body"] == b"x"


def too_much(status: int, reason: str) -> Refusal:
    return Refusal(status, reason.encode())


async def test_a_body_may_come_in_pieces() -> None:
    assert await receive_body(Visitor(b"a", b"bc").receive, 3, 1.0, too_much) == b"abc"


async def test_a_body_has_a_bound() -> None:
    with pytest.raises(Refusal, match="413 the body is longer than 2 bytes"):
        await receive_body(Visitor(b"a", b"bc").receive, 2, 1.0, too_much)


async def test_a_body_has_its_time(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(Refusal, match="408 the body took longer than 2 s"):
        await receive_body(trio.sleep_forever, 2, 2.0, too_much)  # type: ignore[arg-type]  # never returns


async def test_a_client_may_leave_before_it_has_asked() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        await receive_body(receive, 2, 1.0, too_much)


async def test_its_line_has_no_token_in_it() -> None:
    headers = {"user-agent": "curl", "referer": "https://page/?token=SECRET", "authorization": "SECRET"}
    visitor = Visitor(headers=headers, query_string=b"a=1&token=SECRET&c%5B%5D=2")
    subject = visitor.exchange(now=iter([1.0, 3.5]).__next__)
    await subject.answer(Response(b"12345", 201))

    assert subject.line({"a", "c[]"}) == {
        "remote": "192.0.2.1:99",
        "method": "GET",
        "target": "/a/path?a=1&c%5B%5D=2",
        "protocol": "HTTP/1.1",
        "status": 201,
        "bytes": 5,
        "referer": "https://page/",
        "user_agent": "curl",
        "duration_s": 2.5,
    }


async def test_a_client_without_an_address_has_a_line_too() -> None:
    line = Visitor(client=None).exchange().line(())

    assert (line["remote"], line["target"], line["referer"], line["status"]) == ("-", "/a/path", "-", 0)


async def test_what_a_client_sends_is_logged_up_to_a_length() -> None:
    visitor = Visitor(raw_path=b"/" + b"x" * 9000, headers={"user-agent": "y" * 9000, "referer": "z" * 9000})

    assert len(str(visitor.exchange().line(()))) < 7000


def test_parameters_that_mean_nothing_are_not_shown() -> None:
    assert shown_query("a=1&b=2&a&=&%61=3&c[]=4", {"a", "c[]"}) == "a=1&a&c[]=4"
