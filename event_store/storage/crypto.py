"""Keys that events on disk are sealed with, by AES-256-GCM: who has none reads nothing, and changes nothing unseen.

Nothing is sealed with a key of the key file itself: the log has one that is derived of it, and so has each segment,
from its name. What is sealed says by which key, in eight bytes that tell nothing about it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from event_store.storage.errors import StoreLocked
from event_store.storage.manifest import Segment

_KEY_BYTES = 32
_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
_LEAST_BYTES = _NONCE_BYTES + _TAG_BYTES
_MOST_BYTES = 1 << 16
_MOST_KEYS = 100


@dataclass(frozen=True, slots=True)
class _Key:
    id: bytes
    secret: bytes
    log: AESGCM


class Keyring:
    """One key that seals, and any number that open. From any thread."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        keys = [_Key(_derived(one, b"id")[:_ID_BYTES], one, AESGCM(_derived(one, b"log"))) for one in secrets]
        self._sealing = keys[0]
        self._keys = {key.id: key for key in keys}

    def __repr__(self) -> str:
        return " ".join(key.hex() for key in self._keys)

    @property
    def current(self) -> str:
        """What the key is called that seals."""
        return self._sealing.id.hex()

    def seal(self, plain: bytes) -> bytes:
        """Make a part of the log unreadable."""
        return self._sealing.id + _sealed(self._sealing.log, plain, self._sealing.id)

    def open(self, sealed: bytes) -> bytes:
        """Undo `seal`; StoreLocked if the key is missing, ValueError if this is not what was sealed with it."""
        if len(sealed) < _ID_BYTES + _LEAST_BYTES:
            raise ValueError(f"{len(sealed)} bytes are too few for anything sealed")
        id_ = sealed[:_ID_BYTES]
        key = self._keys.get(id_)
        if key is None:
            raise StoreLocked(f"it is sealed with another key, {id_.hex()}: the key file has {self}")
        return _opened(key.log, sealed[_ID_BYTES:], id_)

    def of_file(self, file: str, key: str) -> bytes:
        """Return what a file of a segment, or beside one, is sealed with; StoreLocked if the key is missing."""
        found = self._keys.get(bytes.fromhex(key))
        if found is None:
            raise StoreLocked(f"{file} is sealed with another key, {key}: the key file has {self}")
        return _derived(found.secret, b"segment " + file.encode())


def secret_of(segment: Segment, keys: Keyring | None) -> bytes | None:
    """Return what a segment is sealed with, if it is; StoreLocked, naming it, if the key is missing."""
    if not segment.key:
        return None
    if keys is None:
        raise StoreLocked(f"{segment.file} is sealed with the key {segment.key}, and there is no key file")
    return keys.of_file(segment.file, segment.key)


def seal_file(secret: bytes, plain: bytes) -> bytes:
    """Make a whole file unreadable, with what `Keyring.of_file` says of it."""
    return _sealed(AESGCM(secret), plain, b"")


def open_file(secret: bytes, sealed: bytes) -> bytes:
    """Undo `seal_file`; ValueError if this is not what was sealed with it."""
    return _opened(AESGCM(secret), sealed, b"")


def read_keys(path: Path) -> Keyring:
    """Read a file of keys; StoreLocked, naming the file and what is wrong with it, if there is none to be had of it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MOST_BYTES)
    except OSError as error:
        raise StoreLocked(f"the key file {path} cannot be read: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise StoreLocked(f"the key file {path} may be read by others than its owner: chmod 600 it")
    secrets = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            try:
                secrets.append(bytes.fromhex(line.strip().decode("ascii")))
            except ValueError:
                secrets.append(b"")
            if len(secrets[-1]) != _KEY_BYTES:
                raise StoreLocked(f"line {number} of the key file {path} is not a key of {2 * _KEY_BYTES} hex digits")
    if not 1 <= len(secrets) <= _MOST_KEYS:
        raise StoreLocked(f"the key file {path} has {len(secrets)} keys, and not 1 to {_MOST_KEYS}")
    return Keyring(secrets)


def _sealed(cipher: AESGCM, plain: bytes, beside: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, beside)


def _opened(cipher: AESGCM, sealed: bytes, beside: bytes) -> bytes:
    if len(sealed) < _LEAST_BYTES:
        raise ValueError(f"{len(sealed)} bytes are too few for anything sealed")
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], beside)
    except InvalidTag as error:
        raise ValueError("it was changed since it was sealed") from error


@lru_cache(maxsize=4096)
def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"standpipe event store: " + purpose).derive(secret)
