"""The data directory of a running system: whose it is, and what clients find in it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import trio

from plumbing.auth import TokensError
from plumbing.certs import CertsError, make_certs
from plumbing.private_files import write_file
from plumbing.tokens import TokenStore
from standpipe.errors import CommandFailed
from standpipe.system import CERTS_DIR, ENDPOINTS_FILE, TOKENS_DIR

LOCK_FILE = "up.lock"
LEDGER_DIR = "ledger"

_LET_GO_WITHIN_S = 10.0
_LOOK_AGAIN_S = 0.1


@asynccontextmanager
async def claim(data_dir: Path) -> AsyncIterator[int]:
    """Make the directory and keep every other `up` out of it; raises `CommandFailed` if one is in there.

    The lock is that of a file, and yielded: whoever inherits it holds it too. So a directory is free only when the last
    component is gone, even if `up` itself was killed.
    """
    handle = _open_lock(data_dir)
    try:
        await _lock(handle, data_dir)
        os.pwrite(handle, b"%-20d\n" % os.getpid(), 0)
        withdraw(data_dir)  # what a killed `up` left behind
        yield handle
    finally:
        os.close(handle)


def _open_lock(data_dir: Path) -> int:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandFailed(f"{error.filename or data_dir}: {error.strerror or error}") from error


async def _lock(handle: int, data_dir: Path) -> None:
    """Wait for the components of an `up` that was killed, but not for one that runs."""
    patience = trio.current_time() + _LET_GO_WITHIN_S
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        pid = int(os.pread(handle, 20, 0) or 0)
        if _is_alive(pid):
            raise CommandFailed(f"`standpipe up` is running at {data_dir} already, as process {pid}")
        if trio.current_time() > patience:
            raise CommandFailed(f"components that process {pid} started are still running at {data_dir}")
        await trio.sleep(_LOOK_AGAIN_S)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


def furnish(data_dir: Path) -> None:
    """Leave certificates and the administrator's token in the directory, making what is missing."""
    try:
        make_certs(data_dir / CERTS_DIR, now=datetime.now(UTC))
        TokenStore(data_dir / TOKENS_DIR).ensure_admin_token(time.time())
    except (CertsError, TokensError) as error:
        raise CommandFailed(str(error)) from error


def announce(data_dir: Path, endpoints: Mapping[str, str]) -> None:
    """Tell clients where everything listens."""
    write_file(data_dir / ENDPOINTS_FILE, json.dumps(dict(endpoints), indent=2).encode() + b"\n")


def withdraw(data_dir: Path) -> None:
    """Tell clients that nothing is running here."""
    (data_dir / ENDPOINTS_FILE).unlink(missing_ok=True)
