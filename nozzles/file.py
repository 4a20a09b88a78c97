"""Write each envelope as one line of JSON to a file that is rotated by size and age, and compressed when finished.

In:    batches.
Out:   PATH, which grows; finished ones beside it: PATH.0000000001, PATH.0000000002, … the higher the newer, with .zst
       when compressed. All are made with mode 0600, and hold whole lines only.
Drops: nothing; how many finished files are kept is a setting.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import structlog
import trio
import zstandard
from pydantic import Field, PositiveFloat, PositiveInt

from nozzles.json_lines import LineFile, full_disk_is_unavailable, lines
from nozzles.sdk import Batch, NozzleKind, Write
from plumbing.config import Section
from plumbing.private_files import PRIVATE

log = structlog.get_logger(__name__)

_DIGITS = 10
_READ_BYTES = 1 << 20
_RETRY_S = 60.0


class Config(Section):
    """Where the lines go, when a file is finished, and how many finished ones stay."""

    path: Path
    """File to append to. Its directory must exist; one file has one nozzle."""

    rotate_bytes: PositiveInt = 134_217_728
    """A file is finished before it would grow beyond this; only a batch that is larger alone makes a larger file."""

    rotate_s: PositiveFloat | None = None
    """A file with anything in it is finished at this age. One found at the start is as old as its last change."""

    keep_files: PositiveInt | None = None
    """How many finished files stay: the oldest are deleted. Nothing is deleted for their number without this."""

    keep_bytes: PositiveInt | None = None
    """How much finished files may take together: the oldest are deleted. Nothing is deleted for it without this."""

    compress: bool = False
    """Whether finished files are compressed (zstd)."""

    compression_level: int = Field(default=3, ge=1, le=19)
    """zstd's level: higher is smaller and slower."""

    sync: bool = False
    """Whether each batch is on the disk, past all caches, before it counts as delivered."""


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


class RotatingFile:
    """The file that grows, and its rotation. Blocking: one thread at a time. `now` is in seconds, and never falls."""

    def __init__(self, config: Config, finished: FinishedFiles, now: float) -> None:
        self._config = config
        self._finished = finished
        self._file = LineFile(config.path, sync=config.sync)
        if not self._file.regular:
            self._file.close()
            raise OSError(errno.EINVAL, "only a regular file can be rotated", str(config.path))
        self._begun_at = now - max(0.0, time.time() - self._file.changed_at)
        self.rotations = 0

    @property
    def due_at(self) -> float:
        """When it is to be finished for its age; infinity when it is empty, or age does not count."""
        age = self._config.rotate_s
        return self._begun_at + age if age is not None and self._file.size else float("inf")

    def append(self, text: bytes, now: float) -> None:
        """Write lines, to a new file if it is time for one."""
        self.rotate_if_due(now, len(text))
        if not self._file.size:
            self._begun_at = now
        self._file.append(text)

    def rotate_if_due(self, now: float, more: int = 0) -> None:
        """Finish the file if it is too old, or would be too large with so many bytes more.

        One that somebody has moved or removed is theirs: a new one is begun.
        """
        if not self._file.is_in_place():
            self._open_anew()
        too_large = self._file.size > 0 and self._file.size + more > self._config.rotate_bytes
        if too_large or now >= self.due_at:
            self._config.path.rename(self._finished.next_path())
            self.rotations += 1
            self._open_anew()
            self._finished.prune()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _open_anew(self) -> None:
        before, self._file = self._file, LineFile(self._config.path, sync=self._config.sync)
        before.close()


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Open the file; `write` returns when the system has the lines. A full disk is `SinkUnavailable`."""
    finished = FinishedFiles(config)
    file = await trio.to_thread.run_sync(RotatingFile, config, finished, trio.current_time())
    turn, changed, stop = trio.Lock(), trio.Event(), threading.Event()

    async def write(batch: Batch) -> None:
        text = lines(batch)
        async with turn:
            before = file.rotations, file.due_at
            try:
                with full_disk_is_unavailable():
                    await trio.to_thread.run_sync(file.append, text, trio.current_time())
            finally:
                if before != (file.rotations, file.due_at):
                    changed.set()

    async def tend() -> None:
        """Rotate for age, compress, and delete: all that no batch waits for."""
        nonlocal changed
        while True:
            changed = trio.Event()
            try:
                async with turn:
                    await trio.to_thread.run_sync(file.rotate_if_due, trio.current_time())
                await trio.to_thread.run_sync(finished.tidy, stop)
                look_again_at = file.due_at
            except OSError as error:
                log.warning("finished_files_untended", path=str(config.path), error=str(error), retry_in_s=_RETRY_S)
                look_again_at = trio.current_time() + _RETRY_S
            with trio.move_on_at(look_again_at):
                await changed.wait()

    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tend)
            try:
                yield write
            except Exception as error:
                failure = error  # raised again below, as itself and in no group
            finally:
                stop.set()
                nursery.cancel_scope.cancel()
    finally:
        file.close()
    if failure is not None:
        raise failure


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


kind = NozzleKind(Config, open_nozzle)
