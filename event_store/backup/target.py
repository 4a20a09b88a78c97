"""The folder that a store is copied to: what it is a copy of, and files that come into it whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import orjson
from xxhash import xxh3_64

from event_store.storage import Segment, segments
from event_store.storage.lock import LOCK, lock_folder
from event_store.storage.manifest import Manifest, load
from event_store.storage.recovery import WAL
from event_store.storage.verifying import checksum_of
from event_store.storage.wal import files
from plumbing.private_files import PRIVATE, sync_directory, write_file

_NOTE = "BACKUP"
"""A file that says of which store the folder is a copy, and at which versions of its manifest it may be."""
_FIRST = {LOCK, f".{_NOTE}.new"}
"""What there may be without it, when the first backup was cut short."""
_READ_BYTES = 1 << 20


class BackupRefused(Exception):
    """The folder is no place for a copy of this store: name another one."""


class Piece(NamedTuple):
    """A file as the manifest knows it."""

    file: str
    bytes: int
    checksum: str


LogFile: TypeAlias = tuple[str, int]
"""The name of a file of the log, and how many bytes it has: it only grows."""


def pieces(segment: Segment) -> list[Piece]:
    """Return the file of a segment, and the one beside it if there is one."""
    found = [Piece(segment.file, segment.bytes, segment.checksum)]
    if segment.index_bytes:
        found.append(Piece(segment.index_file, segment.index_bytes, segment.index_checksum))
    return found


@dataclass(slots=True)
class Target:
    """A folder that no store, and no other backup, writes to as long as it is held."""

    folder: Path
    on_bytes: Callable[[int], None]
    """Told of bytes that are there by now."""
    known: frozenset[Piece] = frozenset()
    """What its manifest names."""
    version: int = 0
    log: frozenset[LogFile] = frozenset()
    """What its log consists of."""

    @contextmanager
    def held(self, source: Path) -> Iterator[None]:
        """Make it if need be, and keep others away from it; BackupRefused if it is no place for a backup, StoreBusy."""
        here, there = source.resolve(), self.folder.resolve()
        if here == there or here in there.parents or there in here.parents:
            raise BackupRefused(f"{self.folder} and the store in {source} are not apart")
        if self.folder.exists() and not self.folder.is_dir():
            raise BackupRefused(f"{self.folder} is no folder")
        found = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        if _NOTE not in found and not found <= _FIRST:
            raise BackupRefused(f"{self.folder} is no backup of a store: name an empty folder, or none that is there")
        _make(self.folder)
        lock = lock_folder(self.folder)
        try:
            yield
        finally:
            os.close(lock)

    def look(self, manifest: Manifest) -> None:
        """Find out what it has of the store of `manifest`; BackupRefused if of another one, or events of its own."""
        noted = _noted(self.folder / _NOTE)
        self.log = frozenset((path.name, path.stat().st_size) for path in _log(self.folder))
        before = load(self.folder) or Manifest(manifest.id)
        if before.id != manifest.id or (noted and noted["store"] != f"{before.id:016x}"):
            raise BackupRefused(f"{self.folder} is a backup of another store")
        if noted is None:
            self.note(manifest, {before.version}, self.log)
        elif before.version not in noted["versions"] or not self.log <= set(map(tuple, noted["log"])):
            raise BackupRefused(f"{self.folder} was written to since it was a backup: name another folder")
        checksums = {segment.file: segment.checksum for segment in manifest.segments}
        is_other = any(checksums.get(each.file, each.checksum) != each.checksum for each in before.segments)
        if is_other or before.version > manifest.version:
            raise BackupRefused(f"{self.folder} is of a later time than the store: name another folder")
        self.known = frozenset(piece for segment in before.segments for piece in pieces(segment))
        self.version = before.version
        _make(self.folder / WAL)
        _make(self.folder / segments.FOLDER)

    def note(self, manifest: Manifest, versions: Collection[int], log: Collection[LogFile]) -> None:
        """Remember what this is a copy of: at one of these versions, with some of these files of the log."""
        said = {"store": f"{manifest.id:016x}", "versions": sorted(versions), "log": sorted(log)}
        write_file(self.folder / _NOTE, orjson.dumps(said))

    def has(self, piece: Piece) -> bool:
        """Whether a file is there: by manifest and size, or, of a backup that was cut short, by its checksum."""
        path = self.folder / piece.file
        if not path.is_file() or path.stat().st_size != piece.bytes:
            return False
        if piece not in self.known and checksum_of(path) != piece.checksum:
            return False
        self.on_bytes(piece.bytes)
        return True

    def take(self, source: Path, piece: Piece) -> bool:
        """Copy a file; False, and nothing is changed, if it is not what the manifest knows. OSError."""
        path = self.folder / piece.file
        _make(path.parent)
        draft = path.with_name(f".{path.name}")
        if self.draft(source, draft, piece.bytes) != piece.checksum:
            draft.unlink()
            return False
        draft.replace(path)
        sync_directory(path.parent)
        return True

    def draft(self, source: Path, draft: Path, size: int) -> str:
        """Copy the first `size` bytes of a file to one that is on disk when this returns; returns their checksum.

        OSError, which names the file that it is about.
        """
        checksum, left = xxh3_64(), size
        with source.open("rb") as file:
            draft.unlink(missing_ok=True)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
            try:
                with open(handle, "wb") as copy:
                    while part := _read(file, min(left, _READ_BYTES)):
                        copy.write(part)
                        checksum.update(part)
                        left -= len(part)
                        self.on_bytes(len(part))
                    copy.flush()
                    os.fsync(handle)
            except BaseException as error:
                _name(error, draft)
                draft.unlink(missing_ok=True)
                raise
        return "" if left else checksum.hexdigest()

    def clear(self, kept: tuple[Segment, ...], log: Collection[str]) -> int:
        """Remove what is part of the copy no more, or never was; returns how many files that were."""
        log_files = [path for path in (self.folder / WAL).iterdir() if path.name not in log]
        strays = segments.strays(self.folder, kept)
        for path in (*log_files, *strays):
            path.unlink()
        for path in strays:
            with suppress(OSError):  # its hour, or its day, has others
                path.parent.rmdir()
                path.parent.parent.rmdir()
        return len(log_files) + len(strays)


def _log(folder: Path) -> list[Path]:
    return [path for _, path in files(folder / WAL)] if (folder / WAL).is_dir() else []


def _noted(path: Path) -> dict[str, Any] | None:
    """Read what an earlier backup noted; BackupRefused if that cannot be told."""
    try:
        said = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict) or {"store", "versions", "log"} - said.keys():
        raise BackupRefused(f"{path} is not what a backup wrote: name another folder")
    return said


def _read(file: BufferedReader, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        _name(error, file.name)
        raise


def _name(error: BaseException, path: str | Path) -> None:
    if isinstance(error, OSError) and error.filename is None:
        error.filename = os.fspath(path)


def _make(folder: Path) -> None:
    """Make a folder (0700), and those above it, so that they survive a power cut."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_directory(folder.parent)
