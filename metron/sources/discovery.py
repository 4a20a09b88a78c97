"""Find the files that the globs name now, each once, and say what is wrong with the rest."""

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

import structlog

from metron.sources.config import FileSource
from metron.sources.counts import Faults
from metron.sources.tail import FileKey

log = structlog.get_logger(__name__)


class Stamp(NamedTuple):
    """As long as this stays the same, a file has not been written to."""

    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it was just seen."""

    path: str
    key: FileKey
    stamp: Stamp
    source: FileSource
    pattern: str


class Discovery:
    """Looks for the files of some sources."""

    def __init__(self, sources: Sequence[FileSource], faults: Faults) -> None:
        self._sources = sources
        self._faults = faults
        self._looked = False

    def look(self) -> dict[FileKey, Sighting]:
        """See which files there are; a file with several names or sources is found under the first of them."""
        found: dict[FileKey, Sighting] = {}
        paths: set[str] = set()
        for source in self._sources:
            for pattern in source.paths:
                matches = [path for path in _expand(pattern) if not _excluded(path, source.exclude)]
                paths.update(matches)
                for path in matches:
                    if sighting := self._see(path, source, pattern):
                        found.setdefault(sighting.key, sighting)
                if not matches and not self._looked:
                    log.warning("no_such_file_yet", pattern=pattern, source_id=source.source_id)
        self._faults.retain(paths)
        self._looked = True
        return found

    def _see(self, path: str, source: FileSource, pattern: str) -> Sighting | None:
        try:
            status = os.stat(path)
        except FileNotFoundError as error:
            if os.path.islink(path):
                self._faults.report(path, "broken_symlink", error)
            return None  # else it has vanished since the glob was looked up: nothing to speak of
        except OSError as error:
            self._faults.report(path, "unreadable", error)
            return None
        if not stat.S_ISREG(status.st_mode):
            self._faults.report(path, "directory" if stat.S_ISDIR(status.st_mode) else "not_a_regular_file")
            return None
        return Sighting(path, key_of(status), stamp_of(status), source, pattern)


def key_of(status: os.stat_result) -> FileKey:
    """Which file this is the status of."""
    return FileKey(status.st_dev, status.st_ino)


def stamp_of(status: os.stat_result) -> Stamp:
    """What of this status changes when the file is written to."""
    return Stamp(status.st_size, status.st_mtime_ns)


def find_renamed(path: str, key: FileKey) -> str | None:
    """Find the name that a file known as `path` now has in its directory, or in that of the file a link points to."""
    for directory in {os.path.dirname(path), os.path.dirname(os.path.realpath(path))}:
        for entry in _entries(directory):
            if entry.inode() == key.inode:
                return entry.path
    return None


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except OSError:
        return  # gone or closed to us, and its files with it


def _expand(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True))


def _excluded(path: str, patterns: Sequence[str]) -> bool:
    name = os.path.basename(path)
    return any(fnmatchcase(path, pattern) or fnmatchcase(name, pattern) for pattern in patterns)
