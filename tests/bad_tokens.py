"""Tokens that look as if they opened a door, and do not."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws, jwt
from joserfc.jwk import OKPKey

from plumbing.auth.token_verifier import PUBLIC_KEY_FILE, REVOKED_FILE
from tests.fakes.jwts import encoded, forged, rsa
from tests.guarded_doors import Door, House, signed


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
