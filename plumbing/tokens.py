"""Make, list and revoke the tokens that clients present.

Only whoever runs these commands holds the private key; components verify with the public one (`plumbing.auth`).
A token itself is never kept, save that of the administrator, which tools on the same machine read from its file.
"""

import json
import math
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from plumbing.auth import (
    ADMIN,
    ALGORITHM,
    FIREHOSE,
    MAX_TOKEN_BYTES,
    PUBLIC_KEY_FILE,
    REVOKED_FILE,
    SOURCE_READ,
    AccessDenied,
    Claims,
    TokensError,
    TokenVerifier,
    parse_revoked,
    read_file,
)
from plumbing.private_files import PUBLIC, locked, write_file

PRIVATE_KEY_FILE = "signing.key"
REGISTRY_FILE = "tokens.json"
ADMIN_FILE = "admin"
KNOWN_SCOPES = (FIREHOSE, ADMIN)


class TokenInfo(BaseModel):
    """What is known of a token that was made: everything but the token. Times are seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    scopes: tuple[str, ...]
    sources: tuple[str, ...]
    created: int
    expires: int | None
    revoked: bool = False


_Registry = TypeAdapter(list[TokenInfo])


class TokenStore:
    """The tokens of one installation, in a directory of its own: keys, registry and the list of what was revoked."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create(
        self,
        *,
        scopes: Sequence[str],
        sources: Sequence[str] = (),
        name: str = "",
        expires_in_s: float | None,
        now: float,
    ) -> str:
        """Sign a token for `scopes`, and for reading each of `sources`; this is the only time it is shown."""
        with self._locked():
            return self._create(scopes, sources, name, expires_in_s, now)

    def revoke(self, token_id: str) -> TokenInfo:
        """Make a token worthless from its next verification on."""
        with self._locked():
            known = next((info for info in self._registered() if info.id == token_id), None)
            if known is None:
                raise TokensError(f"there is no token with the id {token_id!r}")
            self._write(REVOKED_FILE, json.dumps(sorted({*self._revoked(), token_id})).encode())
            return known.model_copy(update={"revoked": True})

    def ensure_admin_token(self, now: float) -> Path:
        """Return the file of a token that may do everything and never expires; make one if that there is no good."""
        with self._locked():
            self._signing_key()
            if not self._admin_token_is_good(now):
                token = self._create((FIREHOSE, ADMIN), (), "admin", None, now)
                self._write(ADMIN_FILE, token.encode())
            return self._directory / ADMIN_FILE

    def list(self) -> Sequence[TokenInfo]:
        """Return every token that was made, the oldest first."""
        revoked = self._revoked()
        return [info.model_copy(update={"revoked": info.id in revoked}) for info in self._registered()]

    def _create(
        self, scopes: Sequence[str], sources: Sequence[str], name: str, expires_in_s: float | None, now: float
    ) -> str:
        info = TokenInfo(
            id=secrets.token_hex(8),
            name=name,
            scopes=_checked_scopes(scopes, sources),
            sources=_checked_sources(sources),
            created=int(now),
            expires=_expiry(expires_in_s, now),
        )
        token = _signed(info, self._signing_key())
        if len(token) > MAX_TOKEN_BYTES:
            raise TokensError(f"{len(info.sources)} sources do not fit into one token")
        self._register([*self._registered(), info])
        return token

    def _admin_token_is_good(self, now: float) -> bool:
        token = read_file(self._directory / ADMIN_FILE)
        try:
            grant = TokenVerifier(self._directory).verify((token or b"").decode("latin-1").strip(), now)
        except AccessDenied:
            return False
        return grant.scopes >= {FIREHOSE, ADMIN} and grant.expires_at is None

    def _signing_key(self) -> OKPKey:
        """Return the private key, made if there is none, and see to it that the public one is its counterpart."""
        path, public_path = self._directory / PRIVATE_KEY_FILE, self._directory / PUBLIC_KEY_FILE
        pem, public_pem = read_file(path), read_file(public_path)
        if pem is None and public_pem is not None:
            raise TokensError(f"{path}: missing, and needed to sign; to begin anew with another, delete {public_path}")
        if pem is None:
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            self._register([])  # no token of a key that is gone is worth anything
            self._write(PRIVATE_KEY_FILE, pem)
        key = _parse_private_key(path, pem)
        counterpart = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if public_pem != counterpart:
            self._write(PUBLIC_KEY_FILE, counterpart, PUBLIC)
        return OKPKey.import_key(key)

    def _registered(self) -> Sequence[TokenInfo]:
        path = self._directory / REGISTRY_FILE
        try:
            return _Registry.validate_json(read_file(path) or b"[]")
        except ValidationError as error:
            raise TokensError(f"{path}: not a registry of tokens") from error

    def _register(self, tokens: Sequence[TokenInfo]) -> None:
        self._write(REGISTRY_FILE, _Registry.dump_json([*tokens], indent=2, exclude={"__all__": {"revoked"}}))

    def _revoked(self) -> frozenset[str]:
        path = self._directory / REVOKED_FILE
        return parse_revoked(path, read_file(path))

    def _write(self, name: str, content: bytes, mode: int = 0o600) -> None:
        write_file(self._directory / name, content, mode)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with locked(self._directory):
                yield
        except OSError as error:
            raise TokensError(f"{error.filename or self._directory}: {error.strerror or error}") from error


def _checked_scopes(scopes: Sequence[str], sources: Sequence[str]) -> tuple[str, ...]:
    known = (*KNOWN_SCOPES, SOURCE_READ) if sources else KNOWN_SCOPES
    for scope in scopes:
        if scope not in known:
            raise TokensError(f"unknown scope {scope!r}; known are {', '.join(known)}")
    if not scopes and not sources:
        raise TokensError(f"a token needs a scope ({', '.join(known)}) or a source")
    return tuple(dict.fromkeys(scopes)) or (SOURCE_READ,)


def _checked_sources(sources: Sequence[str]) -> tuple[str, ...]:
    if not all(sources):
        raise TokensError("a source id must not be empty")
    return tuple(dict.fromkeys(sources))


def _expiry(expires_in_s: float | None, now: float) -> int | None:
    if expires_in_s is None:
        return None
    if not 0 < expires_in_s < math.inf:
        raise TokensError("a token must expire some time after it was made, or never")
    return math.ceil(now + expires_in_s)


def _signed(info: TokenInfo, key: OKPKey) -> str:
    claims = Claims(
        iss="standpipe",
        aud="standpipe",
        jti=info.id,
        iat=info.created,
        exp=info.expires,
        scope=[*info.scopes],
        sources=[*info.sources],
    )
    return jwt.encode({"alg": ALGORITHM}, claims.model_dump(exclude_none=True), key, algorithms=[ALGORITHM])


def _parse_private_key(path: Path, pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise TokensError(f"{path}: not an unencrypted PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise TokensError(f"{path}: not an Ed25519 key")
    return key
