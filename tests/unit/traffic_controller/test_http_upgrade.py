"""What is a WebSocket handshake to the original's library, and what it answers to all else."""

import pytest

from traffic_controller.http_messages import Headers, Request
from traffic_controller.http_upgrade import handshake, refuse_upgrade

GOOD = {
    "connection": "keep-alive, Upgrade",
    "upgrade": "WebSocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def request(method: str = "GET", **changes: str | None) -> Request:
    headers: Headers = [
        (name, value)
        for name, value in {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}.items()
        if value is not None
    ]
    return Request(method, "/firehose/s?filter-type=logs", headers)


def test_a_handshake_is_let_through() -> None:
    assert refuse_upgrade(request()) is None
    assert refuse_upgrade(request(upgrade="h2c, websocket", origin="https://anyone")) is None


@pytest.mark.parametrize(
    ("bad", "status", "words"),
    [
        (request(upgrade=None), 400, b"Bad Request\n"),
        (request(connection="close"), 400, b"Bad Request\n"),
        (request("POST", upgrade=None), 400, b"Bad Request\n"),
        (request("HEAD", upgrade=None), 400, b"Bad Request\n"),
        (request("POST"), 405, b"Method Not Allowed\n"),
        (request(sec_websocket_version="8"), 400, b"Bad Request\n"),
        (request(sec_websocket_version=None), 400, b"Bad Request\n"),
        (request(sec_websocket_key=None), 400, b"Bad Request\n"),
        (request(sec_websocket_key="c2hvcnQ="), 400, b"Bad Request\n"),
        (request(sec_websocket_key="\xe9" * 24), 400, b"Bad Request\n"),
    ],
)
def test_all_else_is_refused(bad: Request, status: int, words: bytes) -> None:
    answer = refuse_upgrade(bad)

    assert answer is not None
    assert (answer.status, answer.body) == (status, words)
    assert dict(answer.headers)["Sec-Websocket-Version"] == "13"


def test_only_the_handshake_goes_further() -> None:
    passed_on = handshake(request(authorization="bearer secret", sec_websocket_extensions="permessage-deflate"))

    assert passed_on.startswith(b"GET /firehose/s HTTP/1.1\r\n")
    assert passed_on.endswith(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert b"secret" not in passed_on
    assert b"deflate" not in passed_on
