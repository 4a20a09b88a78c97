"""What either side has to prove before a single event is sent."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from nozzles.fluent.handshake import Credentials, HandshakeFailed, check_pong, ping

CREDENTIALS = Credentials("us", "key", "user", "password")


def sha512(text: bytes) -> str:
    return hashlib.sha512(text).hexdigest()


def test_ping_proves_the_key_and_the_password() -> None:
    said, nonce = ping(["HELO", {"nonce": b"nonce", "auth": "auth"}], CREDENTIALS, b"salt")

    assert said == ["PING", "us", b"salt", sha512(b"saltusnoncekey"), "user", sha512(b"authuserpassword")]
    assert nonce == b"nonce"


def test_a_receiver_that_asks_for_no_user_is_told_none() -> None:
    said, _ = ping(["HELO", {"nonce": "nonce"}], CREDENTIALS, b"salt")

    assert said[4:] == ["", ""]


def test_pong_has_to_prove_the_key() -> None:
    check_pong(["PONG", True, "", "them", sha512(b"saltthemnoncekey")], CREDENTIALS, b"salt", b"nonce")


@pytest.mark.parametrize(
    ("pong", "message"),
    [
        (["PONG", False, "bad user", "", ""], "bad user"),
        (["PONG", True, "", "them", sha512(b"other")], "does not know"),
        (["PONG", True, "", "them", "ü"], "does not know"),
        (["PONG", True, "", "us", sha512(b"saltusnoncekey")], "too"),
        (["PONG", True], "did not answer"),
        ({"ack": "a"}, "did not answer"),
        (None, "did not answer"),
    ],
)
def test_any_other_pong_ends_it(pong: Any, message: str) -> None:
    with pytest.raises(HandshakeFailed, match=message):
        check_pong(pong, CREDENTIALS, b"salt", b"nonce")


@pytest.mark.parametrize("helo", [None, ["HELO"], ["HELO", None], ["OLEH", {}], {"ack": "a"}])
def test_what_is_no_helo_ends_it(helo: Any) -> None:
    with pytest.raises(HandshakeFailed, match="HELO"):
        ping(helo, CREDENTIALS, b"salt")


def test_a_user_that_is_asked_for_is_needed() -> None:
    with pytest.raises(HandshakeFailed, match="asks for a user"):
        ping(["HELO", {"nonce": b"", "auth": b"auth"}], Credentials("us", "key"), b"salt")
