"""What a sink is told of us, and what an operator is told when that is not enough."""

from base64 import b64decode
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nozzles.http_sink import HttpSettings, SecretHeader
from nozzles.http_sink.credentials import Credentials, read_credentials
from plumbing.config import ConfigError
from tests.fakes.http_sink_server import secret_file


class OtherSettings(HttpSettings):
    """Those of a sink with a key of its own."""

    secret_headers: ClassVar = {**HttpSettings.secret_headers, "key_file": SecretHeader("X-Key")}

    key_file: Path | None = None
    """File of the key."""


def read(url: str = "http://host", **settings: Any) -> Credentials:
    return read_credentials(OtherSettings(url=url, **settings))


def basic(credentials: Credentials) -> bytes:
    word, told = credentials.headers["Authorization"].split()
    assert word == "Basic"
    return b64decode(told)


def test_nothing_is_told_that_is_not_set() -> None:
    credentials = read()

    assert credentials.headers == {}
    assert credentials.remedy == "it is told nothing of us: set token_file, key_file, or username and password_file"


def test_a_user_of_the_settings_wins_over_one_in_the_url(tmp_path: Path) -> None:
    password = secret_file(tmp_path, "pass:word")

    assert basic(read("http://url:urlpw@host")) == b"url:urlpw"
    assert basic(read("http://url:urlpw@host", username="me", password_file=password)) == b"me:pass:word"
    assert read("http://url:urlpw@host", token_file=password).headers == {"Authorization": "Bearer pass:word"}


def test_each_secret_goes_in_its_header(tmp_path: Path) -> None:
    secret = secret_file(tmp_path, "s3cret")

    assert read(key_file=secret, token_file=secret).headers == {"Authorization": "Bearer s3cret", "X-Key": "s3cret"}


def test_every_form_of_a_secret_is_known_and_none_is_in_the_remedy(tmp_path: Path) -> None:
    secret = secret_file(tmp_path, "s3cret")

    credentials = read("http://u:urlsecret@host?q=query", key_file=secret, headers={"X": "Key mine"})

    assert {"s3cret", "urlsecret", "query", "mine", credentials.headers["Authorization"]} <= set(credentials.secrets)
    assert credentials.remedy == "mend key_file, headers, url, or what the sink lets us do"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing"):
        read(token_file=tmp_path / "missing")
