"""The files that are finished: found, compressed and, as far as the settings ask for it, deleted. Blocking file I/O."""

from __future__ import annotations

import glob
import os
import re
import threading
from pathlib import Path
from typing import NamedTuple

import zstandard

from nozzles.file.config import Config
from plumbing.private_files import PRIVATE

_DIGITS = 10
_READ_BYTES = 1 << 20


class Finished(NamedTuple):
    """A file that grows no more."""

    number: int
    path: Path
    compressed: bool


class FinishedFiles:
    """The finished files beside a path. Blocking; may be used by several threads at once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._name = re.compile(re.escape(config.path.name) + rf"\.(\d{{{_DIGITS},}})(\.zst)?")

    def all(self) -> list[Finished]:
        """List them, the oldest first."""
        matches = [(entry, self._name.fullmatch(entry.name)) for entry in self._config.path.parent.iterdir()]
        found = [Finished(int(match[1]), entry, bool(match[2])) for entry, match in matches if match]
        return sorted(found)

    def next_path(self) -> Path:
        """Name the next one."""
        last = max((each.number for each in self.all()), default=0)
        return self._config.path.with_name(f"{self._config.path.name}.{last + 1:0{_DIGITS}}")

    def prune(self) -> None:
        """Delete the oldest, as far as the settings ask for it."""
        files = self.all()
        sizes = [_size(each.path) for each in files]
        most_files, most_bytes = self._config.keep_files, self._config.keep_bytes
        while files and (
            (most_files is not None and len(files) > most_files) or (most_bytes is not None and sum(sizes) > most_bytes)
        ):
            files.pop(0).path.unlink(missing_ok=True)
            sizes.pop(0)

    def tidy(self, stop: threading.Event) -> None:
        """Compress what is to be compressed, until `stop` is set, and delete what is too much."""
        if self._config.compress:
            self._compress(stop)
        self.prune()

    def _compress(self, stop: threading.Event) -> None:
        """Compress those that are not, the oldest first; no kill leaves one half compressed, or twice."""
        for left_behind in self._config.path.parent.glob(f"{glob.escape(self._config.path.name)}.*.zst.tmp"):
            left_behind.unlink()
        files = self.all()
        done = {each.number for each in files if each.compressed}
        for each in files:
            if each.compressed or stop.is_set():
                continue
            if each.number not in done and not self._compress_one(each.path, stop):
                continue
            each.path.unlink(missing_ok=True)

    def _compress_one(self, path: Path, stop: threading.Event) -> bool:
        """Make PATH.zst; say whether it is there, and on the disk."""
        draft = path.with_name(f"{path.name}.zst.tmp")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
            with path.open("rb") as source, open(handle, "wb") as target:
                compressor = zstandard.ZstdCompressor(level=self._config.compression_level, write_checksum=True)
                with compressor.stream_writer(target, closefd=False) as packed:
                    while (chunk := source.read(_READ_BYTES)) and not stop.is_set():
                        packed.write(chunk)
                target.flush()
                os.fsync(handle)
            if stop.is_set():
                return False
            draft.replace(path.with_name(f"{path.name}.zst"))
        except FileNotFoundError:  # pruned meanwhile
            return False
        finally:
            draft.unlink(missing_ok=True)
        return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
