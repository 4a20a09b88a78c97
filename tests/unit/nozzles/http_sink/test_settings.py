"""What settings of an HTTP sink are refused before anything is opened."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nozzles.http_sink import HttpSettings


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://host/", "http://", "http://[::1"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="not a URL"):
        HttpSettings(url=url)


@pytest.mark.parametrize("header", [{"X Y": "1"}, {"": "1"}, {"X": "1\r\nY: 2"}, {"X": " 1"}, {"X": "é"}])
def test_what_is_no_header_is_refused(header: Any) -> None:
    with pytest.raises(ValidationError):
        HttpSettings(url="http://host", headers=header)


def test_a_certificate_comes_with_its_key() -> None:
    with pytest.raises(ValidationError, match="together"):
        HttpSettings(url="https://host", tls_cert=Path("a.crt"))


def test_the_url_is_all_that_must_be_said() -> None:
    assert HttpSettings(url="https://user:pw@host:1/path?x=y").compression == "none"


@pytest.mark.parametrize("half", [{"username": "me"}, {"password_file": Path("p")}])
def test_a_user_comes_with_a_password(half: Any) -> None:
    with pytest.raises(ValidationError, match="given together"):
        HttpSettings(url="http://host", **half)


def test_there_is_one_way_to_say_who_we_are() -> None:
    with pytest.raises(ValidationError, match="username and token_file exclude each other"):
        HttpSettings(url="http://host", username="me", password_file=Path("p"), token_file=Path("t"))
