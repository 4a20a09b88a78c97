"""A folder for what queries put aside on disk, held by a lock: those of killed processes are removed by the next one.

A folder is in use as long as somebody holds the lock of the file in it, which the end of a process lets go of, whatever
ends it.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from plumbing.private_files import lock_file

_PREFIX = "standpipe-queries-"
_LOCK = "lock"


def claim() -> tuple[Path, int]:
    """Make a folder that is ours until `release`, and its lock; remove those of ours that nobody holds. OSError."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is held, or somebody else was faster
            _remove_unheld(left)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with suppress(BlockingIOError, FileNotFoundError):  # it was taken for one that nobody holds, before it was held
            lock = lock_file(folder / _LOCK)
            if os.fstat(lock).st_nlink:
                return folder, lock
            os.close(lock)


def release(folder: Path, lock: int) -> None:
    """Remove a folder that was claimed."""
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


def _remove_unheld(folder: Path) -> None:
    """Remove a folder of ours whose lock nobody has; one without a lock is none of ours. OSError if it stays."""
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and (folder / _LOCK).is_file():
        release(folder, lock_file(folder / _LOCK))
