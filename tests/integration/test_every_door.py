"""Every HTTP door and every bad credential, with each kind of authority: who is let in, and what others are told."""

import base64
import hmac
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID
from joserfc import jws, jwt
from joserfc.jwk import OKPKey

from plumbing.auth.token_verifier import PUBLIC_KEY_FILE, REVOKED_FILE
from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from plumbing.tokens import PRIVATE_KEY_FILE, TokenStore
from tests.fakes.capi import FakeCapi
from tests.fakes.https_server import Mood
from tests.fakes.jwts import encoded, forged, rsa
from tests.fakes.uaa import FakeUaa
from tests.raw_http import HANDSHAKE, Reply, ask, dial, exchange, request
from tests.running import eventually, get, running

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"
OTHER_APP = "11111111-58cc-4372-a567-0e02b2c3d479"
NOBODYS_APP = "22222222-58cc-4372-a567-0e02b2c3d479"

TEXT = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
CHALLENGE = {"www-authenticate": "Basic"}
NOT_FOUND = b'{"message":"resource not found","error":"not_found"}\n\n'


@dataclass(frozen=True)
class Door:
    """Something that can be asked for, and the headers that go with all its answers."""

    room: str
    target: str
    headers: tuple[str, ...] = ()
    said_always: Mapping[str, str] = field(default_factory=dict)
    good: int = 200

    @property
    def is_for_apps(self) -> bool:
        return APP in self.target


DOORS = {
    "firehose": Door("traffic_controller", "/firehose/s", (HANDSHAKE,), good=101),
    "stream": Door("traffic_controller", f"/apps/{APP}/stream", (HANDSHAKE,), good=101),
    "recentlogs": Door(
        "traffic_controller",
        f"/apps/{APP}/recentlogs",
        ("Origin: https://page",),
        {"access-control-allow-origin": "https://page", "access-control-allow-credentials": "true"},
    ),
    "containermetrics": Door("traffic_controller", f"/apps/{APP}/containermetrics"),
    "gateway": Door("reverse_log_proxy", "/v2/read?log"),
    "gateway, one source": Door("reverse_log_proxy", f"/v2/read?log&source_id={APP}"),
}
MODES = ("local", "check_token", "keys")


@dataclass
class House:
    """A component, whoever decides about access to it, and every secret that was shown to it."""

    mode: str
    ports: Ports
    certs: Path
    trusting: ssl.SSLContext
    tokens: TokenStore
    tokens_dir: Path
    uaa: FakeUaa
    capi: FakeCapi
    access_log: Path
    secrets: set[str] = field(default_factory=set)

    async def ask(self, door: Door, *credentials: str) -> Reply:
        """Ask at a door, on a connection of its own."""
        return await ask(self.address(door), self.trusting, self.request(door, *credentials))

    def request(self, door: Door, *credentials: str) -> bytes:
        return request(door.target, *door.headers, *credentials)

    def address(self, door: Door) -> str:
        return self.ports["listen" if door.room == "traffic_controller" else "gateway"]

    def good(self, door: Door) -> str:
        """Return a token that opens a door."""
        return self.secret(signed(self, door))

    def local(self, scopes: list[str], sources: list[str], expires_in_s: float | None = 600) -> str:
        return self.tokens.create(scopes=scopes, sources=sources, expires_in_s=expires_in_s, now=time.time())

    def secret(self, token: str) -> str:
        """Take note of what must appear nowhere."""
        self.secrets |= {token, quote(token), *(part for part in token.split(".") if len(part) > 20)}
        return token


@asynccontextmanager
async def house(certs: Path, tmp_path: Path, mode: str, room: str, **auth: Any) -> AsyncIterator[House]:
    tokens = TokenStore(tmp_path / "tokens")
    tokens.ensure_admin_token(time.time())
    with FakeUaa(certs) as uaa, FakeCapi(certs, uaa.who) as capi:
        capi.apps = {APP: {"alice"}, OTHER_APP: {"bob"}}
        (tmp_path / "secret").write_text(uaa.client_secret)
        settings: dict[str, Any] = {"tokens_dir": tmp_path / "tokens"}
        if mode != "local":
            settings = {
                "mode": "uaa",
                "uaa_url": uaa.url,
                "uaa_ca": certs / "ca.crt",
                "uaa_client_id": uaa.client_id,
                "uaa_client_secret_file": tmp_path / "secret",
                "uaa_verify": mode,
                "uaa_issuer": uaa.issuer,
                "uaa_audience": "doppler",
                "capi_url": capi.url,
                "capi_external_url": capi.external_url,
                "capi_ca": certs / "ca.crt",
                "capi_cert": certs / "client.crt",
                "capi_key": certs / "client.key",
                "timeout_s": 10.0,
            }
        own: dict[str, Any] = {"gateway": {"enabled": True, "listen": "127.0.0.1:0"}}
        if room == "traffic_controller":
            own = {"security_event_log": tmp_path / "access.log"}
        common = {"doppler_addresses": ["127.0.0.1:9"], "drain_grace_s": 0.2, "auth": {**settings, **auth}}
        async with running(room, certs, **common, **own) as ports:
            trusting = client_context(certs / "ca.crt")
            opened = House(
                mode, ports, certs, trusting, tokens, tmp_path / "tokens", uaa, capi, tmp_path / "access.log"
            )
            opened.secret(uaa.client_secret)
            yield opened


def refusal(door: Door, mode: str, *, provided: bool = True) -> Reply:
    """Return what whoever shows no good token is told (loggregator.md 3.1, 3.2)."""
    if door.room == "reverse_log_proxy":
        return Reply(404, {**TEXT, "content-length": str(len(NOT_FOUND))}, NOT_FOUND)
    body = b"You are not authorized. " + (b"invalid authorization" if provided else b"authorization not provided")
    text: Mapping[str, str] = TEXT
    if door.is_for_apps and mode != "local":  # the original says nothing but a status
        body, text = b"", {}
    headers = {**CHALLENGE, **text, **door.said_always, "content-length": str(len(body)), "connection": "close"}
    return Reply(401, headers, body)


def told(reply: Reply) -> tuple[int, Mapping[str, str], bytes]:
    return reply.status, reply.lasting_headers, reply.body


def signed(house: House, door: Door, **changes: Any) -> str:
    """Sign a token that opens the door, but for some changes of what it says."""
    if house.mode == "local":
        said = {"iss": "standpipe", "aud": "standpipe", "jti": "x", "iat": time.time(), "exp": time.time() + 600}
        rights = {"scope": [], "sources": [APP]} if door.is_for_apps else {"scope": ["doppler.firehose"], "sources": []}
        pem = (house.tokens_dir / PRIVATE_KEY_FILE).read_bytes()
        key = OKPKey.import_key(load_pem_private_key(pem, None))
        return jwt.encode({"alg": "Ed25519"}, {**said, **rights, **changes}, key, ["Ed25519"])
    return house.uaa.token("openid" if door.is_for_apps else "doppler.firehose", user="alice", **changes)


def shared_secret(house: House, door: Door) -> str:
    """Take the public key, which everybody may know, for a secret to sign with."""
    public = (house.tokens_dir / PUBLIC_KEY_FILE).read_bytes()
    if house.mode != "local":
        public = rsa(1).as_pem(private=False)
    head, payload = encoded(b'{"alg":"HS256","kid":"key-1"}'), signed(house, door).split(".")[1]
    return f"{head}.{payload}.{encoded(hmac.digest(public, f'{head}.{payload}'.encode(), 'sha256'))}"


def of_its_own_key(house: House, door: Door) -> str:
    """Bring the key along, in the header."""
    claims = json.loads(base64.urlsafe_b64decode(signed(house, door).split(".")[1] + "=="))
    if house.mode == "local":
        key: Any = OKPKey.import_key(Ed25519PrivateKey.generate())
        header = {"alg": "Ed25519", "jwk": key.as_dict(private=False)}
    else:
        key = rsa(98)
        header = {"alg": "RS256", "kid": "key-1", "jwk": key.as_dict(private=False), "jku": "https://127.0.0.1:9/"}
    registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    return jwt.encode(header, claims, key, [header["alg"]], registry)


def revoked(house: House, door: Door) -> str:
    token = signed(house, door, jti="gone")
    house.uaa.revoked.add("gone")
    (house.tokens_dir / REVOKED_FILE).write_text('["gone"]')
    return token


BAD: Mapping[str, Callable[[House, Door], str]] = {
    "garbage": lambda house, door: "garbage",
    "empty parts": lambda house, door: "..",
    "oversize": lambda house, door: signed(house, door, padding="x" * 9000),
    "expired": lambda house, door: signed(house, door, exp=int(time.time()) - 5),
    "revoked": revoked,
    "cut short": lambda house, door: signed(house, door)[:-8],
    "without a signature": lambda house, door: signed(house, door).rpartition(".")[0] + ".",
    "alg none": lambda house, door: forged(signed(house, door), {"alg": "none", "kid": "key-1"}, ""),
    "alg None": lambda house, door: forged(signed(house, door), {"alg": "NoNe", "kid": "key-1"}, ""),
    "alg none, signed": lambda house, door: forged(signed(house, door), {"alg": "none", "kid": "key-1"}),
    "the public key for a secret": shared_secret,
    "a key of its own": of_its_own_key,
    "not yet valid": lambda house, door: signed(house, door, nbf=int(time.time()) + 60),
    "another issuer": lambda house, door: signed(house, door, iss="https://elsewhere.example/oauth/token"),
    "another audience": lambda house, door: signed(house, door, aud="elsewhere"),
}
ASKED_ABOUT = {"not yet valid", "another issuer", "another audience"}
"""What a UAA and a Cloud Controller look for themselves; those of these tests believe what they signed."""


def bad_for(mode: str, door: Door) -> list[str]:
    """Say which of the bad ones the authority of a door can tell."""
    if mode == "local":
        return list(BAD)
    if mode == "keys" and not door.is_for_apps:  # nobody is asked, so nobody says what was revoked
        return [name for name in BAD if name != "revoked"]
    return [name for name in BAD if name not in ASKED_ABOUT]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


@pytest.fixture
async def opened(mode: str, door: Door, certs_dir: Path, tmp_path: Path) -> AsyncIterator[House]:
    async with house(certs_dir, tmp_path, mode, door.room) as opened:
        yield opened


async def test_a_good_token_opens_the_door(opened: House, door: Door) -> None:
    token = opened.good(door)

    for credential in (f"Authorization: bearer {token}", f"authorization: Bearer  {token}", f"Authorization: {token}"):
        assert (await opened.ask(door, credential)).status == door.good, credential
    assert (await opened.ask(door, f"Cookie: a=b; authorization=bearer+{quote(token)}")).status == door.good


async def test_without_a_token_the_door_stays_shut(opened: House, door: Door) -> None:
    expected = told(refusal(door, opened.mode, provided=False))

    for credential in ((), ("Authorization: ",), ("Authorization: bearer ",), ("Cookie: authorization=",)):
        assert told(await opened.ask(door, *credential)) == expected, credential


async def test_a_bad_token_leaves_the_door_shut(opened: House, door: Door) -> None:
    expected = told(refusal(door, opened.mode))

    for name in bad_for(opened.mode, door):
        token = opened.secret(BAD[name](opened, door))
        assert told(await opened.ask(door, f"Authorization: bearer {token}")) == expected, name


async def test_what_is_no_bearer_token_leaves_the_door_shut(opened: House, door: Door) -> None:
    expected = told(refusal(door, opened.mode))
    token = opened.good(door)

    for scheme in ("Basic", "Digest", "bearerx", "bearer bearer", "token"):
        assert told(await opened.ask(door, f"Authorization: {scheme} {token}")) == expected, scheme
    assert told(await opened.ask(door, "Authorization: garbage", f"Authorization: bearer {token}")) == expected
    assert told(await opened.ask(door, f"Authorization: bearer {token} {token}")) == expected


async def test_a_token_for_something_else_leaves_the_door_shut(opened: House, door: Door) -> None:
    if opened.mode == "local":
        token = opened.local([], [OTHER_APP])
    else:
        token = opened.uaa.token("openid" if door.is_for_apps else "uaa.user", user="bob")
    reply = await opened.ask(door, f"Authorization: bearer {opened.secret(token)}")

    if door.room == "traffic_controller" and door.is_for_apps and opened.mode != "local":
        assert told(reply) == (404, {**door.said_always, "content-length": "0", "connection": "close"}, b"")
    else:
        assert told(reply) == told(refusal(door, opened.mode))


async def test_refusals_are_the_same_whether_there_is_such_an_app(certs_dir: Path, tmp_path: Path, mode: str) -> None:
    for room in ("traffic_controller", "reverse_log_proxy"):
        async with house(certs_dir, tmp_path, mode, room) as opened:
            mine = opened.good(DOORS["stream"])
            for door in (door for door in DOORS.values() if door.room == room and door.is_for_apps):
                replies = [
                    told(await ask(opened.address(door), opened.trusting, asked))
                    for app in (OTHER_APP, NOBODYS_APP)
                    for asked in [
                        opened.request(door, f"Authorization: bearer {mine}").replace(APP.encode(), app.encode())
                    ]
                ]
                assert replies[0] == replies[1]
                assert replies[0][0] in (401, 404)


async def test_no_secret_is_written_anywhere(opened: House, door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    credentials = [opened.good(door), *(BAD[name](opened, door) for name in ("expired", "oversize", "alg none"))]
    for token in map(opened.secret, credentials):
        await opened.ask(door, f"Authorization: bearer {token}", f"Referer: https://page/?token={token}")
        await opened.ask(door, f"Cookie: authorization={quote(token)}")
        carried = Door(door.room, f"{door.target}{'&' if '?' in door.target else '?'}token={token}", door.headers)
        await opened.ask(carried, f"Authorization: Basic {token}")
    opened.uaa.be("failing")
    opened.capi.be("failing")
    await opened.ask(door, f"Authorization: bearer {opened.secret(signed(opened, door))}")

    written = "".join(capfd.readouterr()) + await get(opened.ports, opened.certs, "/metrics")
    if door.room == "traffic_controller":
        written += opened.access_log.read_text()
    assert "request" in written
    assert [secret for secret in opened.secrets if secret in written] == []


async def test_whoever_is_refused_harms_nobody(opened: House, door: Door) -> None:
    async with AsyncExitStack() as stack:
        other = await dial(opened.address(door), opened.trusting)
        stack.push_async_callback(trio.aclose_forcefully, other)
        stranger = await dial(opened.address(door), opened.trusting)
        stack.push_async_callback(trio.aclose_forcefully, stranger)
        bad = opened.request(door, f"Authorization: bearer {BAD['expired'](opened, door)}")
        good = opened.request(door, f"Authorization: bearer {opened.good(door)}")

        assert told(await exchange(stranger, bad)) == told(refusal(door, opened.mode))
        assert (await exchange(other, good)).status == door.good
        if door.room == "reverse_log_proxy":  # there, a connection is for many requests
            assert (await exchange(stranger, good)).status == door.good


TROUBLES: tuple[Mood, ...] = ("down", "slow", "garbage", "failing", "huge", "endless")
REMOTE = ("check_token", "keys")


def in_trouble(door: Door, mode: str) -> Reply:
    """Return what a stranger is told while the authority of a door cannot be asked: nobody is let in on that."""
    if door.room == "traffic_controller" and door.is_for_apps:
        return Reply(500, {**door.said_always, "content-length": "0", "connection": "close"}, b"")
    return refusal(door, mode)


@pytest.mark.parametrize("mode", REMOTE)
@pytest.mark.parametrize("mood", TROUBLES)
async def test_a_uaa_in_trouble_lets_in_those_it_has_let_in_and_nobody_else(
    certs_dir: Path, tmp_path: Path, mode: str, mood: Mood
) -> None:
    for room, doors in (
        ("traffic_controller", ["firehose"]),
        ("reverse_log_proxy", ["gateway", "gateway, one source"]),
    ):
        async with house(certs_dir, tmp_path, mode, room, timeout_s=0.5) as opened:
            known = {name: f"Authorization: bearer {opened.good(DOORS[name])}" for name in doors}
            for name in doors:
                assert (await opened.ask(DOORS[name], known[name])).status == DOORS[name].good

            opened.uaa.be(mood)

            for door in (DOORS[name] for name in doors):
                stranger = await opened.ask(door, f"Authorization: bearer {opened.good(door)}")
                if mode == "keys":  # which are known, and nobody has to be asked
                    assert stranger.status == door.good
                else:
                    assert told(stranger) == told(in_trouble(door, mode))
            for name in doors:
                assert (await opened.ask(DOORS[name], known[name])).status == DOORS[name].good
            opened.uaa.be("well")
            for door in (DOORS[name] for name in doors):
                assert (await opened.ask(door, f"Authorization: bearer {opened.good(door)}")).status == door.good


@pytest.mark.parametrize("mood", TROUBLES)
async def test_a_uaa_that_never_gave_its_keys_lets_nobody_in(certs_dir: Path, tmp_path: Path, mood: Mood) -> None:
    for door in (DOORS["firehose"], DOORS["gateway"], DOORS["gateway, one source"]):
        async with house(certs_dir, tmp_path, "keys", door.room, timeout_s=0.5) as opened:
            opened.uaa.be(mood)
            reply = await opened.ask(door, f"Authorization: bearer {opened.good(door)}")

        assert told(reply) == told(refusal(door, "keys"))


@pytest.mark.parametrize("mood", [mood for mood in TROUBLES if mood != "garbage"])
async def test_a_cloud_controller_in_trouble_lets_in_those_it_has_let_in_and_nobody_else(
    certs_dir: Path, tmp_path: Path, mood: Mood
) -> None:
    for room in ("traffic_controller", "reverse_log_proxy"):
        async with house(certs_dir, tmp_path, "check_token", room, timeout_s=0.5) as opened:
            door, *others = [each for each in DOORS.values() if each.room == room and each.is_for_apps]
            known = f"Authorization: bearer {opened.good(door)}"
            assert (await opened.ask(door, known)).status == door.good

            opened.capi.be(mood)

            for each in (door, *others):
                stranger = await opened.ask(each, f"Authorization: bearer {opened.good(each)}")
                assert told(stranger) == told(in_trouble(each, opened.mode))
                assert (await opened.ask(each, known)).status == each.good
            opened.capi.be("well")
            assert (await opened.ask(door, f"Authorization: bearer {opened.good(door)}")).status == door.good


async def test_of_a_cloud_controller_the_status_counts_whatever_else_it_says(certs_dir: Path, tmp_path: Path) -> None:
    door = DOORS["stream"]
    async with house(certs_dir, tmp_path, "check_token", door.room) as opened:
        opened.capi.be("garbage")

        assert (await opened.ask(door, f"Authorization: bearer {opened.good(door)}")).status == door.good


@pytest.mark.parametrize("name", ["firehose", "stream", "gateway", "gateway, one source"])
async def test_what_was_said_counts_only_so_long(certs_dir: Path, tmp_path: Path, name: str) -> None:
    door = DOORS[name]
    async with house(certs_dir, tmp_path, "check_token", door.room, cache_s=0.5) as opened:
        known = f"Authorization: bearer {opened.good(door)}"
        assert (await opened.ask(door, known)).status == door.good
        opened.uaa.be("failing")
        opened.capi.be("failing")

        async def is_shut() -> bool:
            return told(await opened.ask(door, known)) == told(in_trouble(door, opened.mode))

        await eventually(is_shut)


@pytest.mark.parametrize("name", ["firehose", "gateway"])
async def test_keys_rotate_and_those_that_are_withdrawn_open_nothing(
    certs_dir: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plumbing.auth.token_keys.REFRESH_S", 0.0)
    door = DOORS[name]
    async with house(certs_dir, tmp_path, "keys", door.room, cache_s=0) as opened:
        old = f"Authorization: bearer {opened.good(door)}"
        assert (await opened.ask(door, old)).status == door.good

        opened.uaa.rotate()
        assert (await opened.ask(door, f"Authorization: bearer {opened.good(door)}")).status == door.good
        assert (await opened.ask(door, old)).status == door.good

        opened.uaa.withdraw_old_keys()
        assert told(await opened.ask(door, old)) == told(refusal(door, "keys"))
        assert (await opened.ask(door, f"Authorization: bearer {opened.good(door)}")).status == door.good


@pytest.mark.parametrize("name", ["firehose", "stream", "gateway"])
async def test_a_token_that_is_revoked_while_its_answer_is_held_opens_nothing_after_that(
    certs_dir: Path, tmp_path: Path, name: str
) -> None:
    door = DOORS[name]
    async with house(certs_dir, tmp_path, "check_token", door.room, cache_s=0.5) as opened:
        token = f"Authorization: bearer {opened.secret(signed(opened, door, jti='gone'))}"
        assert (await opened.ask(door, token)).status == door.good
        opened.uaa.revoked.add("gone")

        async def is_shut() -> bool:
            return told(await opened.ask(door, token)) == told(refusal(door, opened.mode))

        await eventually(is_shut)


async def test_a_local_token_that_is_revoked_opens_nothing_at_once(certs_dir: Path, tmp_path: Path) -> None:
    for room in ("traffic_controller", "reverse_log_proxy"):
        async with house(certs_dir, tmp_path, "local", room) as opened:
            door = next(each for each in DOORS.values() if each.room == room)
            token = f"Authorization: bearer {signed(opened, door, jti='gone')}"
            assert (await opened.ask(door, token)).status == door.good
            (opened.tokens_dir / REVOKED_FILE).write_text('["gone"]')

            assert told(await opened.ask(door, token)) == told(refusal(door, "local"))
            (opened.tokens_dir / REVOKED_FILE).unlink()


async def test_what_is_no_guid_is_no_app_of_a_cloud_foundry(certs_dir: Path, tmp_path: Path) -> None:
    async with house(certs_dir, tmp_path, "check_token", "traffic_controller") as opened:
        token = f"Authorization: bearer {opened.good(DOORS['stream'])}"
        for name in ("app", APP[:-1], f"{APP}0", f"{APP}%20", f"{APP}%0a", APP.replace("-", ""), f"%7b{APP}%7d"):
            reply = await ask(opened.ports["listen"], opened.trusting, request(f"/apps/{name}/recentlogs", token))
            assert (reply.status, reply.body) in ((401, b""), (404, b"404 page not found\n")), name
            assert "www-authenticate" not in reply.headers

        assert opened.capi.requests == []


async def test_every_source_that_is_asked_for_must_be_the_clients(certs_dir: Path, tmp_path: Path, mode: str) -> None:
    async with house(certs_dir, tmp_path, mode, "reverse_log_proxy") as opened:
        token = f"Authorization: bearer {opened.good(DOORS['gateway, one source'])}"
        for query in (
            f"source_id={OTHER_APP}",
            f"source_id={APP}&source_id={OTHER_APP}",
            f"source_id={APP}&source_id=",
            f"source_id={APP}%2F..%2F{OTHER_APP}",
            f"source_id={APP},{OTHER_APP}",
            "source_id",
            "",
        ):
            reply = await ask(opened.ports["gateway"], opened.trusting, request(f"/v2/read?log&{query}", token))
            assert (reply.status, reply.body) == (404, NOT_FOUND), query


def of_a_certificate(certs: Path, directory: Path, begins_s: float, ends_s: float) -> ssl.SSLContext:
    """Return the context of a client whose certificate, of our authority, is good from then to then."""
    authority = x509.load_pem_x509_certificate((certs / "ca.crt").read_bytes())
    signing_key = load_pem_private_key((certs / "ca.key").read_bytes(), None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    certificate = (
        x509.CertificateBuilder(authority.subject, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + timedelta(seconds=begins_s))
        .not_valid_after(now + timedelta(seconds=ends_s))
        .sign(signing_key, hashes.SHA256())  # type: ignore[arg-type]  # it is one that signs
    )
    (directory / "crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = client_context(certs / "ca.crt", directory / "crt", directory / "key", alpn=["h2", "http/1.1"])
    context.check_hostname = False
    return context


@pytest.mark.parametrize("room", ["doppler", "metron", "reverse_log_proxy", "traffic_controller"])
async def test_a_certificate_opens_doors_while_it_is_good(certs_dir: Path, tmp_path: Path, room: str) -> None:
    """Those of gRPC, and everybody's `/metrics`."""
    settings = {} if room == "doppler" else {"doppler_addresses": ["127.0.0.1:9"]}
    if room == "traffic_controller":
        settings["auth"] = {"mode": "open"}
    async with running(room, certs_dir, drain_grace_s=0.2, **settings) as ports:
        doors = [ports["admin"]] if room == "traffic_controller" else [ports["admin"], ports["listen"]]
        for address in doors:
            assert await is_open(address, of_a_certificate(certs_dir, tmp_path, -60, 60))
            assert not await is_open(address, of_a_certificate(certs_dir, tmp_path, -60, -1))
            assert not await is_open(address, of_a_certificate(certs_dir, tmp_path, 60, 120))


async def is_open(address: str, context: ssl.SSLContext) -> bool:
    """Tell whether a client is heard: with TLS 1.3, it learns only after its handshake whether it may come in."""
    try:
        stream = await dial(address, context)
    except trio.BrokenResourceError:
        return False
    is_http2 = stream.selected_alpn_protocol() == "h2"
    try:
        await stream.send_all(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" if is_http2 else request("/metrics")
        )
        with trio.fail_after(10):
            return bool(await stream.receive_some(9))
    except trio.BrokenResourceError:
        return False
    finally:
        await trio.aclose_forcefully(stream)
