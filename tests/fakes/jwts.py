"""Tokens and lists of keys, made by hand: what a UAA would sign and give out, and what it never would."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

NOW = 1_700_000_000.0
SECRET = "a secret that is thirty-two bytes or more"
CLAIMS: Mapping[str, Any] = {
    "jti": "0123",
    "iss": "https://uaa.example/oauth/token",
    "aud": ["cf", "doppler"],
    "scope": ["doppler.firehose"],
    "nbf": NOW - 10,
    "exp": NOW + 60,
}


@cache
def rsa(number: int, bits: int = 2048) -> RSAKey:
    """Return one of several private keys; the same number means the same key."""
    return RSAKey.generate_key(bits)


def signed(
    *, key: RSAKey | OctKey | None = None, alg: str = "RS256", header: Mapping[str, Any] | None = None, **changes: Any
) -> str:
    """Sign the claims with these changes; a claim or a header given as `...` is left out."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}
    said = {"alg": alg, "kid": "one", "jku": "https://uaa.example/token_keys", "typ": "JWT", **(header or {})}
    said = {name: value for name, value in said.items() if value is not ...}
    head = f"{encoded(json.dumps(said).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{head}.{encoded(jws.JWSRegistry.algorithms[alg].sign(head.encode(), key or rsa(1)))}"


def forged(token: str, header: Mapping[str, Any], signature: str | None = None) -> str:
    """Put another header on a token, and another signature if one is given."""
    _, payload, old = token.split(".")
    return f"{encoded(json.dumps(header).encode())}.{payload}.{old if signature is None else signature}"


def encoded(content: bytes) -> str:
    """Encode as the parts of a token are."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def listed(kid: str, key: RSAKey, *, parts: tuple[str, ...] = ("n", "e", "value"), **changes: Any) -> dict[str, Any]:
    """Return a key as it stands in the answer to `/token_keys`."""
    known = {**key.as_dict(private=False), "value": key.as_pem(private=False).decode()}
    entry = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, **{name: known[name] for name in parts}, **changes}
    return {name: value for name, value in entry.items() if value is not ...}


def shared(kid: str, value: str = SECRET) -> dict[str, Any]:
    """Return a shared secret as it stands there."""
    return {"kty": "MAC", "use": "sig", "alg": "HS256", "kid": kid, "value": value}


def key_list(*entries: object) -> bytes:
    """Return the whole answer."""
    return json.dumps({"keys": entries}).encode()
