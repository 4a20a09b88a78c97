"""Write files that nobody but their owner may read: whole or not at all, and never by two processes at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Make `directory` (0700) if need be, and keep other processes that lock it waiting until the block ends."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # also lets go of the lock


def lock_file(path: Path) -> int:
    """Make `path` if need be, and return its handle, locked until it is closed. BlockingIOError if somebody has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(handle)
        raise
    return handle


def write_file(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Put `content` in the place of `path`, with `mode` from its first byte; the directory must be locked.

    A kill at any moment leaves the old file or the new one, never a part: the bytes are on disk before the rename.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)  # what a killed process left behind
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory`, new or changed, survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
