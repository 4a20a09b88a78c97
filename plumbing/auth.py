"""Decide who may read what: find the token in a request, verify it, and say what it grants.

Tokens are JWTs that `plumbing.tokens` signs. To verify one takes the public key alone, and the list of what was
revoked; a change of either file counts from the next verification on. A token never appears in an error.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar
from urllib.parse import unquote_plus

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, ValidationError

ALGORITHM = "Ed25519"
MAX_TOKEN_BYTES = 8192

FIREHOSE = "doppler.firehose"
ADMIN = "logs.admin"
SOURCE_READ = "source.read"

PUBLIC_KEY_FILE = "signing.pub"
REVOKED_FILE = "revoked.json"

NOT_PROVIDED = "authorization not provided"
INVALID = "invalid authorization"
"""What a client is told, in the words of the original; the reason is for our own log."""

T = TypeVar("T")


class AccessDenied(Exception):
    """The token grants nothing: tell the client `INVALID`, log `reason`, and do not retry."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokensError(Exception):
    """The files of the tokens cannot be used: put right what the message names, and start again."""


class Claims(BaseModel):
    """What a token says, as it stands in the JWT."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    iss: Literal["standpipe"]
    aud: Literal["standpipe"]
    jti: str
    iat: int | float
    nbf: int | float | None = None
    exp: int | float | None = None
    scope: list[str]
    sources: list[str]


@dataclass(frozen=True, slots=True)
class Grant:
    """What whoever presented a token may do, until it expires."""

    scopes: frozenset[str]
    sources: frozenset[str]
    token_id: str
    expires_at: float | None

    def may_read_firehose(self) -> bool:
        """Tell whether everything may be read; as with the original, `logs.admin` does not suffice."""
        return FIREHOSE in self.scopes

    def may_read_source(self, source_id: str) -> bool:
        """Tell whether what one source sends may be read."""
        return FIREHOSE in self.scopes or ADMIN in self.scopes or source_id in self.sources


class Verifier(Protocol):
    """Whatever can tell a good token from a bad one.

    It answers at once from what it holds: one that depends on a remote authority fetches keys beside, not within.
    """

    def verify(self, token: str, now: float) -> Grant:
        """Return what `token` grants at `now`, in seconds since 1970, or raise `AccessDenied`."""
        ...


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


def presented_token(headers: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]) -> str | None:
    """Return the token of a request: its `Authorization` header, else its cookie `authorization`; None without.

    The prefix `bearer ` is taken off in any case. Headers may be a mapping or pairs, with names in any case.
    """
    # The headers of `websockets` are a mapping that raises on a name that comes twice, unless asked for raw items.
    pairs = getattr(headers, "raw_items", headers.items)() if isinstance(headers, Mapping) else headers
    authorization, cookies = "", []
    for name, value in ((_text(name).lower(), _text(value).strip()) for name, value in pairs):
        if name == "authorization":
            authorization = authorization or value
        elif name == "cookie":
            cookies.append(value)
    token = authorization or _cookie("authorization", cookies)
    scheme, _, rest = token.partition(" ")
    return (rest if scheme.lower() == "bearer" else token).strip() or None


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


def _cookie(name: str, cookies: Iterable[str]) -> str:
    """Return the unescaped value of the first cookie of that name, or nothing."""
    for pair in ";".join(cookies).split(";"):
        key, _, value = pair.strip().partition("=")
        if key.strip() == name:
            return unquote_plus(value.strip().strip('"')).strip()
    return ""


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
