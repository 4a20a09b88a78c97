import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers as StarletteHeaders
from websockets.datastructures import Headers as WebsocketsHeaders

from plumbing.auth import presented_token


@pytest.mark.parametrize(
    "value", ["bearer token", "Bearer token", "BEARER token", "token", " token ", "bearer   token", "bearer token\t"]
)
def test_the_token_is_in_the_header(value: str) -> None:
    assert presented_token({"Authorization": value}) == "token"


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_the_header_is_found_in_any_case(name: str) -> None:
    assert presented_token([(name, "bearer token")]) == "token"


@pytest.mark.parametrize(
    "cookie",
    [
        "authorization=token",
        "authorization=bearer%20token",
        "authorization=bearer+token",
        'authorization="bearer token"',
        "theme=dark; authorization=token",
        "theme=dark;authorization=token;authorization=second",
        "x; ; =; authorization = token ;",
    ],
)
def test_the_token_may_be_in_a_cookie(cookie: str) -> None:
    assert presented_token([("Cookie", cookie)]) == "token"


def test_a_token_with_an_escape_in_the_cookie_is_unescaped_once() -> None:
    assert presented_token([("cookie", "authorization=a%252Bb%3D")]) == "a%2Bb="


def test_the_header_comes_before_the_cookie() -> None:
    assert presented_token([("Cookie", "authorization=cookie"), ("Authorization", "header")]) == "header"


def test_an_empty_header_leaves_it_to_the_cookie() -> None:
    assert presented_token([("Authorization", ""), ("Cookie", "authorization=cookie")]) == "cookie"


def test_a_cookie_may_be_in_the_second_of_two_headers() -> None:
    assert presented_token([("cookie", "theme=dark"), ("cookie", "authorization=token")]) == "token"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*"},
        {"Authorization": ""},
        {"Authorization": "  "},
        {"Cookie": ""},
        {"Cookie": "authorization="},
        {"Cookie": "Authorization=token"},
        {"Cookie": "xauthorization=token"},
        {"Cookie": "authorization=bearer%20"},
    ],
)
def test_there_may_be_no_token(headers: dict[str, str]) -> None:
    assert presented_token(headers) is None


def test_headers_may_be_bytes() -> None:
    assert presented_token([(b"authorization", b"bearer token")]) == "token"


def test_headers_of_both_servers_are_understood() -> None:
    assert presented_token(StarletteHeaders({"Authorization": "bearer token"})) == "token"
    assert presented_token(WebsocketsHeaders([("Authorization", "bearer token")])) == "token"


def test_a_header_that_comes_twice_does_not_hurt() -> None:
    headers = WebsocketsHeaders(
        [("Cookie", "a=b"), ("Cookie", "c=d"), ("Authorization", "one"), ("Authorization", "two")]
    )

    assert presented_token(headers) == "one"


@given(st.lists(st.tuples(st.sampled_from([b"Authorization", b"cookie", b"x"]), st.binary())))
def test_no_header_hurts(headers: list[tuple[bytes, bytes]]) -> None:
    assert presented_token(headers) != ""
