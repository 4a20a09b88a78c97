from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from plumbing.auth import (
    INVALID,
    MAX_TOKEN_BYTES,
    NOT_PROVIDED,
    Access,
    AuthorityCounts,
    AuthSettings,
    Decision,
    Readable,
)
from plumbing.auth.check_token import Scopes
from plumbing.auth.decisions import GRANTED
from plumbing.auth.remote import RemoteAuthority, make_remote
from plumbing.config import ConfigError
from plumbing.tls import TlsError

DENIED = Decision(Access.DENIED, INVALID)
UNKNOWN = Decision(Access.UNKNOWN, "no answer within 10 s")
SCOPES: dict[str, Scopes | Decision] = {
    "firehose": frozenset({"doppler.firehose"}),
    "admin": frozenset({"logs.admin"}),
    "user": frozenset(),
    "bad": DENIED,
    "doubt": UNKNOWN,
}


class Uaa:
    async def scopes(self, token: str) -> Scopes | Decision:
        return SCOPES[token]


class Capi:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bool]] = []

    async def source(self, token: str, source_id: str, *, services: bool = False) -> Decision:
        self.asked.append((token, source_id, services))
        return Decision(Access.HIDDEN)


class Lists:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def readable(self, token: str) -> Readable:
        self.asked.append(token)
        return Readable(GRANTED, frozenset({"app"}))

    async def named(self, token: str, names: Collection[str]) -> dict[str, frozenset[str]]:
        self.asked.append(token)
        return {name: frozenset({"app"}) for name in names}


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
def capi() -> Capi:
    return Capi()


@pytest.fixture
def authority(capi: Capi, lists: Lists) -> RemoteAuthority:
    return RemoteAuthority(Uaa(), capi, lists, AuthorityCounts("uaa", "capi"), ())


@pytest.mark.parametrize(
    ("token", "firehose", "admin"),
    [
        ("firehose", GRANTED, GRANTED),
        ("admin", DENIED, GRANTED),
        ("user", DENIED, DENIED),
        ("bad", DENIED, DENIED),
        ("doubt", UNKNOWN, UNKNOWN),
    ],
)
async def test_scopes_decide(authority: RemoteAuthority, token: str, firehose: Decision, admin: Decision) -> None:
    assert await authority.firehose(token) == firehose
    assert await authority.admin(token) == admin


async def test_the_cloud_controller_decides_about_sources(authority: RemoteAuthority, capi: Capi) -> None:
    assert (await authority.source("firehose", "app")).access is Access.HIDDEN
    assert (await authority.source("user", "other", services=True)).access is Access.HIDDEN

    assert capi.asked == [("firehose", "app", False), ("user", "other", True)]


@pytest.mark.parametrize(
    ("token", "readable"),
    [
        ("firehose", Readable(GRANTED, None)),
        ("admin", Readable(GRANTED, None)),
        ("user", Readable(GRANTED, frozenset({"app"}))),
        ("bad", Readable(DENIED)),
        ("doubt", Readable(UNKNOWN)),
    ],
)
async def test_an_administrator_reads_all_there_is_and_others_what_is_listed(
    authority: RemoteAuthority, lists: Lists, token: str, readable: Readable
) -> None:
    assert await authority.readable(token) == readable
    assert lists.asked == (["user"] if token == "user" else [])


async def test_names_are_looked_up_with_the_readers_own_token(authority: RemoteAuthority, lists: Lists) -> None:
    assert await authority.named("user", ["web"]) == {"web": frozenset({"app"})}
    assert lists.asked == ["user"]


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, NOT_PROVIDED),
        ("", NOT_PROVIDED),
        ("a b", INVALID),
        ("a\r\nX: y", INVALID),
        ("a\n", INVALID),
        ("tök", INVALID),
        ("\x7f", INVALID),
        ("a" * (MAX_TOKEN_BYTES + 1), INVALID),
    ],
)
async def test_what_can_be_no_token_is_shown_to_nobody(
    authority: RemoteAuthority, capi: Capi, lists: Lists, token: str | None, reason: str
) -> None:
    denied = Decision(Access.DENIED, reason)

    assert await authority.firehose(token) == denied
    assert await authority.admin(token) == denied
    assert await authority.source(token, "app") == denied
    assert await authority.readable(token) == Readable(denied)
    assert await authority.named(token, ["web"]) == denied
    assert (capi.asked, lists.asked) == ([], [])


@pytest.fixture
def settings(certs_dir: Path, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "secret").write_text("secret\n")
    return {
        "mode": "uaa",
        "uaa_url": "https://uaa.example",
        "uaa_ca": certs_dir / "ca.crt",
        "uaa_client_id": "doppler",
        "uaa_client_secret_file": tmp_path / "secret",
        "capi_url": "https://capi.internal:9023/",
        "capi_ca": certs_dir / "ca.crt",
        "capi_cert": certs_dir / "client.crt",
        "capi_key": certs_dir / "client.key",
    }


async def test_it_is_made_without_asking_anybody(settings: dict[str, Any]) -> None:
    authority = make_remote(AuthSettings(**settings))

    assert set(authority.counts.readings().values()) == {0}
    await authority.close()


@pytest.mark.parametrize(
    "name",
    [
        "uaa_url",
        "uaa_ca",
        "uaa_client_id",
        "uaa_client_secret_file",
        "capi_url",
        "capi_ca",
        "capi_cert",
        "capi_key",
    ],
)
def test_what_is_missing_is_named(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=rf"auth\.mode uaa needs auth\.{name}$"):
        make_remote(AuthSettings(**{key: value for key, value in settings.items() if key != name}))


@pytest.mark.parametrize("name", ["capi_cert", "capi_key"])
def test_a_certificate_is_for_the_internal_address(settings: dict[str, Any], name: str) -> None:
    del settings[name]
    with pytest.raises(ConfigError, match=rf"auth\.mode uaa needs auth\.{name}$"):
        make_remote(AuthSettings(**settings, capi_external_url="https://api.example"))


def test_the_public_address_of_the_cloud_controller_is_enough(settings: dict[str, Any]) -> None:
    for name in ("capi_url", "capi_cert", "capi_key"):
        del settings[name]

    assert make_remote(AuthSettings(**settings, capi_external_url="https://api.example"))


def test_everything_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"needs auth\.uaa_url, auth\.uaa_ca, auth\.uaa_client_id, .*capi_key"):
        make_remote(AuthSettings(mode="uaa"))


def test_keys_are_given_to_strangers_too(settings: dict[str, Any]) -> None:
    del settings["uaa_client_id"], settings["uaa_client_secret_file"]

    assert make_remote(AuthSettings(**settings, uaa_verify="keys"))


def test_half_a_credential_is_none(settings: dict[str, Any]) -> None:
    del settings["uaa_client_secret_file"]

    with pytest.raises(ConfigError, match=r"needs auth\.uaa_client_secret_file"):
        make_remote(AuthSettings(**settings, uaa_verify="keys"))


@pytest.mark.parametrize("name", ["uaa_url", "capi_url", "capi_external_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://uaa.example",
        "uaa.example",
        "https://",
        "https://:443",
        "https://uaa.example:port",
        "https://uaa.example:99999",
        "https://id:secret@uaa.example",
        "https://uaa.example/?a=b",
        "https://uaa.example/#a",
        "https://uaa.example?",
        "https://uaa example",
        "https://uaa.example\n",
        "https://[::1",
        "https://üaa.example",
    ],
)
def test_an_address_is_one_of_https(settings: dict[str, Any], name: str, url: str) -> None:
    with pytest.raises(ConfigError, match=rf"auth\.{name}: "):
        make_remote(AuthSettings(**{**settings, name: url}))


@pytest.mark.parametrize("url", ["https://uaa.example:8443", "https://[::1]:1", "https://10.0.0.1", "https://a.b/uaa/"])
def test_an_address_may_have_a_port_and_a_path(settings: dict[str, Any], url: str) -> None:
    assert make_remote(AuthSettings(**{**settings, "uaa_url": url}))


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_secret_must_be_there(settings: dict[str, Any], content: bytes | None) -> None:
    path = settings["uaa_client_secret_file"]
    path.unlink() if content is None else path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"auth\.uaa_client_secret_file: .*secret: "):
        make_remote(AuthSettings(**settings))


@pytest.mark.parametrize("name", ["uaa_ca", "capi_ca", "capi_cert", "capi_key"])
def test_files_of_no_use_are_found_at_the_start(settings: dict[str, Any], name: str, tmp_path: Path) -> None:
    with pytest.raises(TlsError, match=r"gone\.pem"):
        make_remote(AuthSettings(**{**settings, name: tmp_path / "gone.pem"}))
