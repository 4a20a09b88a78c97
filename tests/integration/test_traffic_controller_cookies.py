"""A traffic controller sets the cookie it is asked to set, by query or by form, however the form arrives."""

import pytest
import trio

from tests.running_controller import Controller

FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_cookie_is_set_by_any_method(controller: Controller, method: str) -> None:
    reply = await controller.ask(
        "/set-cookie?CookieName=authorization&CookieValue=abc", "Origin: https://page", method=method
    )

    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["set-cookie"] == (
        "authorization=abc; Domain=doppler.sys.example; Secure; HttpOnly; SameSite=Lax"
    )
    assert reply.headers["access-control-allow-origin"] == "https://page"
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert reply.headers["access-control-allow-headers"] == "Content-Type"


async def test_a_cookie_is_made_of_a_form(controller: Controller) -> None:
    reply = await controller.ask("/set-cookie", FORM, method="POST", body="CookieName=a&CookieValue=b%20c")

    assert reply.headers["set-cookie"].startswith('a="b c"; ')


@pytest.mark.parametrize("body", ["CookieName=a", "CookieName=a&CookieValue=b%0d%0aX:y", "x" * 5000])
async def test_a_form_that_makes_no_cookie_is_a_bad_request(controller: Controller, body: str) -> None:
    reply = await controller.ask("/set-cookie", FORM, method="POST", body=body)

    assert reply.status == 400
    assert "set-cookie" not in reply.headers


async def test_a_body_may_come_late_in_pieces_and_be_waited_for(controller: Controller) -> None:
    stream = await controller.dial()
    head = (
        f"POST /set-cookie HTTP/1.1\r\nHost: h\r\n{FORM}\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    )
    with trio.fail_after(10):
        await stream.send_all(head.encode())
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(b"1c\r\nCookieName=a&CookieValue=bcd\r\n0\r")
        await stream.send_all(b"\n\r\n")
        assert b"a=bcd; " in await stream.receive_some()
    await trio.aclose_forcefully(stream)
