"""Verify the tokens that `plumbing.tokens` signs.

To verify one takes the public key alone, and the list of what was revoked; a change of either file counts from the
next verification on. A token never appears in an error.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import ValidationError

from plumbing.auth.grants import MAX_TOKEN_BYTES, AccessDenied, Claims, Grant, TokensError

ALGORITHM = "Ed25519"

PUBLIC_KEY_FILE = "signing.pub"
REVOKED_FILE = "revoked.json"

T = TypeVar("T")


class TokenVerifier:
    """Verifies the tokens that the `TokenStore` of the same directory made."""

    def __init__(self, directory: Path) -> None:
        self._key = _Watched(directory / PUBLIC_KEY_FILE, _parse_public_key)
        self._revoked = _Watched(directory / REVOKED_FILE, parse_revoked)
        self._key.contents()  # a key that cannot be used is found at the start, not by the first client
        self._revoked.contents()

    def verify(self, token: str, now: float) -> Grant:
        """Return what `token` grants at `now`, in seconds since 1970, or raise `AccessDenied`."""
        if len(token) > MAX_TOKEN_BYTES:
            raise AccessDenied("the token is too long")
        try:
            key, revoked = self._key.contents(), self._revoked.contents()
        except TokensError as error:
            raise AccessDenied(f"no token can be verified: {error}") from error
        claims = _claims(token, key)
        if claims.nbf is not None and now < claims.nbf:
            raise AccessDenied("the token is not valid yet")
        if claims.exp is not None and now >= claims.exp:
            raise AccessDenied("the token has expired")
        if claims.jti in revoked:
            raise AccessDenied("the token was revoked")
        return Grant(frozenset(claims.scope), frozenset(claims.sources), claims.jti, claims.exp)


def read_file(path: Path) -> bytes | None:
    """Return what a file of the tokens holds; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokensError(f"{path}: {error.strerror or error}") from error


def parse_revoked(path: Path, content: bytes | None) -> frozenset[str]:
    """Return the ids of the revoked tokens; without a file none is."""
    try:
        ids = json.loads(content or b"[]")
    except ValueError as error:
        raise TokensError(f"{path}: not JSON") from error
    if not isinstance(ids, list) or not all(isinstance(token_id, str) for token_id in ids):
        raise TokensError(f"{path}: not a list of ids")
    return frozenset(ids)


class _Watched(Generic[T]):
    """What a file means, worked out again whenever the file is another than the last time."""

    def __init__(self, path: Path, parse: Callable[[Path, bytes | None], T]) -> None:
        self._path = path
        self._parse = parse
        self._held: tuple[tuple[int, int, int] | None, T] | None = None

    def contents(self) -> T:
        """Return the meaning; raise what parsing raises for as long as the file is bad."""
        stamp = self._stamp()
        if self._held is None or self._held[0] != stamp:
            self._held = None  # should the new contents be bad, the old must not stand in for them
            self._held = (stamp, self._parse(self._path, read_file(self._path)))
        return self._held[1]

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _parse_public_key(path: Path, pem: bytes | None) -> OKPKey:
    if pem is None:
        raise TokensError(f"{path}: missing")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TokensError(f"{path}: not a PEM public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise TokensError(f"{path}: not an Ed25519 key")
    return OKPKey.import_key(key)


def _claims(token: str, key: OKPKey) -> Claims:
    try:
        return Claims.model_validate(jwt.decode(token, key, algorithms=[ALGORITHM]).claims)
    except ValidationError:
        raise AccessDenied("the token does not say what a token must") from None
    except Exception as error:  # a stranger's bytes, and a parser that raises much besides its own errors
        raise AccessDenied(f"the token does not verify: {type(error).__name__}") from None
