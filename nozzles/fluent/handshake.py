"""The handshake of the Forward protocol v1: both sides prove that they know the shared key. Pure.

The receiver says HELO with a nonce, the sender answers PING with a salt and a digest of both, and the receiver says in
PONG whether it agrees, with a digest of its own. A digest is SHA-512 over salt, hostname, nonce and key, in hex.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any


class HandshakeFailed(Exception):
    """The receiver is none that knows the key, or does not take us for one."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are, and what only we and the receiver know."""

    hostname: str
    shared_key: str
    user: str = ""
    password: str = ""


def ping(helo: Any, credentials: Credentials, salt: bytes) -> tuple[list[Any], bytes]:
    """Answer HELO: (PING, the nonce that PONG has to prove)."""
    match helo:
        case ["HELO", dict() as options]:
            nonce, auth = _bytes(options.get("nonce")), _bytes(options.get("auth"))
        case _:
            raise HandshakeFailed("the receiver did not begin with HELO")
    if auth and not credentials.user:
        raise HandshakeFailed("the receiver asks for a user")
    password = _digest(auth, credentials.user.encode(), credentials.password.encode()) if auth else ""
    digest = _digest(salt, credentials.hostname.encode(), nonce, credentials.shared_key.encode())
    return ["PING", credentials.hostname, salt, digest, credentials.user if auth else "", password], nonce


def check_pong(pong: Any, credentials: Credentials, salt: bytes, nonce: bytes) -> None:
    """Raise `HandshakeFailed` unless the receiver agrees and proves that it knows the key."""
    match pong:
        case ["PONG", bool() as agreed, reason, str() as hostname, str() as proof]:
            pass
        case _:
            raise HandshakeFailed("the receiver did not answer with PONG")
    if not agreed:
        raise HandshakeFailed(f"the receiver does not let us in: {str(reason)[:200]}")
    if hostname == credentials.hostname:
        raise HandshakeFailed(f"the receiver is called {hostname[:200]}, too: one of us needs another hostname")
    if not hmac.compare_digest(
        _digest(salt, hostname.encode(), nonce, credentials.shared_key.encode()).encode(), proof.encode()
    ):
        raise HandshakeFailed("the receiver does not know the shared key")


def _digest(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()


def _bytes(value: Any) -> bytes:
    """Return a value that may have been packed as text or as bytes."""
    return value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else b""
