"""Verify tokens with the keys of a UAA. No I/O, no clock.

A key is good for one algorithm, that of its kind, whatever a token asks for: so no public key is ever taken for a
shared secret, and no token is taken without a signature.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import OctKey, RSAKey
from pydantic import BaseModel, ConfigDict, ValidationError

from plumbing.auth.grants import MAX_TOKEN_BYTES, AccessDenied

MAX_KEYS = 64
MIN_RSA_BITS = 2048
MIN_SECRET_BYTES = 32  # RFC 7518 section 3.2

_RSA_ALGORITHMS = (None, "RS256", "SHA256withRSA")
_HMAC_ALGORITHMS = (None, "HS256", "HMACSHA256")
_REFRESH_TOKEN = "-r"  # noqa: S105 - the end of the id of a UAA's refresh token, which grants nothing by itself


class BadSignature(AccessDenied):
    """The signature is not one of this key: the key may be another by now."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the one algorithm that it is for."""

    algorithm: str
    material: RSAKey | OctKey


Keyring: TypeAlias = Mapping[str, Key]
"""Keys by their id."""


class _Listed(BaseModel):
    """One key in the answer to `/token_keys`: parts of a JWK, and the PEM or the secret as `value`."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    kid: str
    kty: str
    alg: str | None = None
    use: str | None = None
    value: str | None = None
    n: str | None = None
    e: str | None = None
    k: str | None = None


class _KeyList(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    keys: list[dict[str, Any]]


class _Claims(BaseModel):
    """What a UAA's token says, as far as it matters here."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    exp: int | float
    nbf: int | float | None = None
    iss: str = ""
    aud: list[str] | str = ""
    jti: str = ""
    scope: list[str]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a token must say besides; empty means that anything will do."""

    issuer: str = ""
    audience: str = ""


def parse_keyring(body: bytes, *, symmetric: bool) -> Keyring:
    """Return the keys of an answer that can be used, the first 64 at most; raise `ValueError` if there is none.

    Shared secrets count with `symmetric` alone. Of RSA keys, those under 2048 bits do not count.
    """
    try:
        listed = _KeyList.model_validate_json(body).keys[:MAX_KEYS]
    except ValidationError as error:
        raise ValueError("an answer that is no list of keys") from error
    keyring = dict(pair for entry in listed for pair in _usable(entry, symmetric))
    if not keyring:
        raise ValueError("a list without a key that can be used")
    return keyring


def key_id(token: str) -> str:
    """Return the id of the key that a token says it was signed with, or raise `AccessDenied`."""
    if len(token) > MAX_TOKEN_BYTES:
        raise AccessDenied("the token is too long")
    try:
        kid = jws.extract_compact(token.encode(), registry=_registry("RS256")).headers().get("kid")
    except Exception as error:  # a stranger's bytes, and a parser that raises much besides its own errors
        raise AccessDenied(f"the token cannot be read: {type(error).__name__}") from None
    if not isinstance(kid, str):
        raise AccessDenied("the token names no key")
    return kid


def verified_scopes(token: str, key: Key, rules: Rules, now: float) -> frozenset[str]:
    """Return the scopes of a good token; raise `BadSignature` if another key may help, `AccessDenied` otherwise."""
    claims = _claims(token, key)
    if now >= claims.exp:
        raise AccessDenied("the token has expired")
    if claims.nbf is not None and now < claims.nbf:
        raise AccessDenied("the token is not valid yet")
    if rules.issuer and claims.iss != rules.issuer:
        raise AccessDenied("the token is another issuer's")
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if rules.audience and rules.audience not in audiences:
        raise AccessDenied("the token is meant for others")
    if claims.jti.endswith(_REFRESH_TOKEN):
        raise AccessDenied("the token is for getting others")
    return frozenset(claims.scope)


def _claims(token: str, key: Key) -> _Claims:
    try:
        return _Claims.model_validate(jwt.decode(token, key.material, [key.algorithm], _registry(key.algorithm)).claims)
    except BadSignatureError:
        raise BadSignature("the token does not verify") from None
    except ValidationError:
        raise AccessDenied("the token does not say what a token must") from None
    except Exception as error:  # a stranger's bytes, and a parser that raises much besides its own errors
        raise AccessDenied(f"the token does not verify: {type(error).__name__}") from None


def _registry(algorithm: str) -> jws.JWSRegistry:
    # Header parameters that nobody here knows are no fault, unless the token says that they are critical.
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = MAX_TOKEN_BYTES  # a UAA's header holds its address
    return registry


def _usable(entry: dict[str, Any], symmetric: bool) -> Iterator[tuple[str, Key]]:
    """Yield the key of an entry, or nothing: one that is of no use here takes nothing from the others."""
    try:
        listed = _Listed.model_validate(entry)
        if listed.use not in (None, "sig"):
            return
        if listed.kty == "RSA" and listed.alg in _RSA_ALGORITHMS:
            yield listed.kid, Key("RS256", RSAKey.import_key(_rsa_key(listed)))
        elif symmetric and listed.kty in ("MAC", "oct") and listed.alg in _HMAC_ALGORITHMS:
            yield listed.kid, Key("HS256", OctKey.import_key(_secret(listed)))
    except (ValueError, UnsupportedAlgorithm):  # pydantic's error is a ValueError too
        return


def _rsa_key(listed: _Listed) -> RSAPublicKey:
    if listed.n and listed.e:
        key = RSAPublicNumbers(e=_integer(listed.e), n=_integer(listed.n)).public_key()
    else:
        loaded = load_pem_public_key((listed.value or "").encode())
        if not isinstance(loaded, RSAPublicKey):
            raise ValueError("not an RSA key")
        key = loaded
    if key.key_size < MIN_RSA_BITS:
        raise ValueError("too short")
    return key


def _secret(listed: _Listed) -> bytes:
    secret = _unbase64(listed.k) if listed.k else (listed.value or "").encode()
    if len(secret) < MIN_SECRET_BYTES or b"-----BEGIN" in secret:
        raise ValueError("no secret")
    return secret


def _integer(text: str) -> int:
    return int.from_bytes(_unbase64(text), "big")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
