"""A cookie is made of what a client sends, and of nothing that would break out of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic_controller.http_messages import Request
from traffic_controller.set_cookie import set_cookie

FORM = (("content-type", "application/x-www-form-urlencoded; charset=utf-8"),)


def cookie(
    target: str = "/set-cookie", body: bytes = b"", method: str = "POST", domain: str = "sys.example"
) -> str | None:
    answer = set_cookie(Request(method, target, FORM), body, domain)
    assert answer.body == b""
    assert answer.status == (200 if answer.headers else 400)
    return dict(answer.headers).get("Set-Cookie")


def test_the_cookie_of_the_original() -> None:
    body = b"CookieName=authorization&CookieValue=bearer%2520abc"

    assert cookie(body=body) == (
        "authorization=bearer%20abc; Domain=doppler.sys.example; Secure; HttpOnly; SameSite=Lax"
    )


def test_the_body_counts_before_the_query_and_only_where_there_may_be_one() -> None:
    target, body = "/set-cookie?CookieName=q&CookieValue=q", b"CookieName=b&CookieValue=b"

    assert (cookie(target, body) or "").startswith("b=b;")
    assert (cookie(target, body, method="GET") or "").startswith("q=q;")
    assert (cookie(target, b"CookieName=b") or "").startswith("b=q;")


def test_a_value_with_a_space_is_quoted_as_go_does() -> None:
    assert (cookie(body=b"CookieName=a&CookieValue=bearer+x") or "").startswith('a="bearer x";')


def test_without_a_system_domain_the_cookie_is_for_one_host() -> None:
    assert cookie(body=b"CookieName=a&CookieValue=b", domain="") == "a=b; Secure; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"CookieName=a",
        b"CookieValue=a",
        b"CookieName=&CookieValue=b",
        b"CookieName=a&CookieValue=",
        b"CookieName=a%3B&CookieValue=b",
        b"CookieName=a%20b&CookieValue=b",
        b"CookieName=a%3Db&CookieValue=b",
        b"CookieName=a&CookieValue=b%3B+Domain%3Devil",
        b"CookieName=a&CookieValue=b%0d%0aSet-Cookie%3A+c%3Dd",
        b"CookieName=a%0a&CookieValue=b",
        b"CookieName=a&CookieValue=b%0a",
        b"CookieName=a&CookieValue=%00",
        b"CookieName=a&CookieValue=%22",
        b"CookieName=a&CookieValue=%5C",
        b"CookieName=a&CookieValue=%C3%A9",
        b"cookiename=a&cookievalue=b",
        b"\xff\xfe",
    ],
)
def test_what_is_missing_or_would_break_out_is_refused(body: bytes) -> None:
    assert cookie(body=body) is None


@given(st.binary(max_size=60))
def test_nothing_adds_an_attribute_or_a_line(noise: bytes) -> None:
    quoted = "".join(f"%{each:02x}" for each in noise).encode()

    made = cookie(body=b"CookieName=a&CookieValue=" + quoted)

    assert made is None or (made.count(";") == 4 and "\n" not in made and "\r" not in made)
