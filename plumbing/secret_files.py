"""Read a secret from a file that nobody else can read. What is wrong with it is a `ConfigError` that names the file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from plumbing.config import ConfigError

MOST_BYTES = 64 * 1024
"""More than any secret has: a larger file is another one, named by mistake."""


def read_secret(path: Path) -> str:
    """Return what a file holds, less the line break at its end; only its owner may have access (mode 0600)."""
    try:
        with path.open("rb") as file:
            _check_private(path, os.fstat(file.fileno()))
            secret = file.read(MOST_BYTES + 1).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    if not secret or len(secret.encode()) > MOST_BYTES:
        raise ConfigError(f"{path}: {f'more than {MOST_BYTES} bytes' if secret else 'empty'}")
    return secret


def check_private(path: Path) -> Path:
    """Return the path of a secret that a library reads itself, once it is known that only its owner has access."""
    read_secret(path)
    return path


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{path}: not a regular file")
    if status.st_mode & 0o077:
        raise ConfigError(f"{path}: others have access (mode {stat.S_IMODE(status.st_mode):04o}): chmod 600 it")
