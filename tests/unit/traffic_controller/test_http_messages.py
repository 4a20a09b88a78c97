"""Heads and bodies are read as they arrive, within bounds; what is no request is refused, whatever it is."""

from itertools import pairwise

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from traffic_controller.http_messages import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    NOT_FOUND,
    Answer,
    BadRequest,
    Request,
    RequestReader,
    text,
)

GET = b"GET /a?b HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nx-two: 2\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\n"


def read(head: bytes) -> RequestReader:
    reader = RequestReader()
    assert reader.head(head) is not None
    return reader


def refused(*pieces: bytes) -> int:
    reader = RequestReader()
    with pytest.raises(BadRequest) as error:
        for piece in pieces:
            if reader.head(piece) is not None:
                reader.body()
    return error.value.status


@given(st.lists(st.integers(1, len(GET) - 1), max_size=6))
def test_a_head_may_arrive_in_any_pieces(cuts: list[int]) -> None:
    reader = RequestReader()
    edges = [0, *sorted(set(cuts)), len(GET)]

    *early, last = [reader.head(GET[start:end]) for start, end in pairwise(edges)]

    assert not any(early)
    assert isinstance(last, Request)
    assert (last.method, last.target, last.path, last.header("x-two")) == ("GET", "/a?b", "/a", "1, 2")


@given(st.binary(min_size=1, max_size=200), st.sampled_from([b"", GET, POST, b"GET / HTTP/1.1\r\n", b"\x16\x03\x01"]))
@example(b"CONNECT /set-cookie HTTP/1.1\r\nHost: h\r\n\r\n", b"")
@example(b"GET / HTTP/9.9\r\n\r\n", b"")
@example(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", b"")
@example(b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", b"")
@example(b"Upgrade: h2c\r\n\r\n", POST)
def test_whatever_comes_in_is_waited_for_or_can_be_answered(noise: bytes, before: bytes) -> None:
    reader, status = RequestReader(), 200
    try:
        waits = reader.head(before + noise) is None or reader.body() is None
    except BadRequest as refusal:
        waits, status = False, refusal.status

    assert status == 200 or 400 <= status <= 599
    reader.has_more()
    assert waits or reader.write(NOT_FOUND, 0.0).startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_a_head_has_a_bound_in_one_piece_and_in_many() -> None:
    filler = b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n"

    assert refused(GET[:-2] + filler) == 431
    assert refused(GET[:-2], *(bytes([each]) for each in filler)) == 431


def test_a_method_that_asks_for_a_tunnel_is_not_allowed() -> None:
    assert refused(b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n") == 405


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",  # no host
        b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\x16\x03\x01\x00",
        b"\x00" * 40,
    ],
)
def test_what_is_no_request_is_a_bad_request(head: bytes) -> None:
    assert refused(head) == 400


@pytest.mark.parametrize(
    "body", [b"Content-Length: 3\r\n\r\na=b", b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\n=b\r\n0\r\n\r\n"]
)
def test_a_body_is_read_whole(body: bytes) -> None:
    reader = RequestReader()
    result = None
    for each in POST + body:
        arrived = bytes([each])
        if reader._request is None:
            if reader.head(arrived) is not None:
                result = reader.body()
        else:
            result = reader.body(arrived)

    assert result == b"a=b"
    assert not reader.has_more()


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 5000\r\n\r\n" + b"x" * 5000,
        b"Transfer-Encoding: chunked\r\n\r\n1388\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n",
    ],
)
def test_a_body_has_a_bound(body: bytes) -> None:
    assert MAX_BODY_BYTES < 5000
    assert refused(POST + body) == 400


def test_a_client_that_waits_is_told_once_to_go_ahead() -> None:
    reader = read(POST + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n")

    assert reader.go_ahead().startswith(b"HTTP/1.1 100 ")
    assert reader.go_ahead() == b""


def test_an_answer_has_a_length_a_date_and_an_end() -> None:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(read(GET).write(text(NOT_FOUND.status, "no"), 0.0))

    response = client.next_event()
    assert isinstance(response, h11.Response)
    headers = dict(response.headers)
    assert (headers[b"content-length"], headers[b"connection"]) == (b"2", b"close")
    assert headers[b"date"] == b"Thu, 01 Jan 1970 00:00:00 GMT"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert client.next_event() == h11.Data(data=b"no")


def test_head_is_answered_without_a_body() -> None:
    written = read(GET.replace(b"GET", b"HEAD")).write(NOT_FOUND, 0.0)

    assert b"Content-Length: 19\r\n" in written
    assert written.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("head", "more"),
    [(GET, False), (GET + b"GET / HTTP/1.1\r\n", True), (POST + b"Content-Length: 3\r\n\r\n", True)],
)
def test_it_is_known_whether_a_client_has_more_to_say(head: bytes, more: bool) -> None:
    assert read(head).has_more() is more


def test_an_answer_without_words_says_nothing_of_its_type() -> None:
    written = read(GET).write(Answer(NOT_FOUND.status), 0.0)

    assert b"Content-Length: 0\r\n" in written
    assert b"Content-Type" not in written
