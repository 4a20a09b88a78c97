"""Every HTTP door, each kind of authority, and what they tell those they do not let in (loggregator.md 3.1, 3.2)."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.jwk import OKPKey

from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from plumbing.tokens import PRIVATE_KEY_FILE, TokenStore
from tests.fakes.capi import FakeCapi
from tests.fakes.uaa import FakeUaa
from tests.raw_http import HANDSHAKE, Reply, ask, request
from tests.running import running

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


def in_trouble(door: Door, mode: str) -> Reply:
    """Return what a stranger is told while the authority of a door cannot be asked: nobody is let in on that."""
    if door.room == "traffic_controller" and door.is_for_apps:
        return Reply(500, {**door.said_always, "content-length": "0", "connection": "close"}, b"")
    return refusal(door, mode)


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
