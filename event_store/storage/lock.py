"""Who may write to the folder of a store: one process at a time, be it the store or a backup."""

from __future__ import annotations

from pathlib import Path

from event_store.storage.errors import StoreBusy
from plumbing.private_files import lock_file

LOCK = "LOCK"


def lock_folder(folder: Path) -> int:
    """Return the handle of the folder's lock, to be closed by whoever had it; StoreBusy if another process has it."""
    try:
        return lock_file(folder / LOCK)
    except BlockingIOError as error:
        raise StoreBusy(f"another process writes to the store in {folder}") from error
